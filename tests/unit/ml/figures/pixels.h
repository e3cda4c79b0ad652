#pragma once
#include <png.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace scopenode::test {

using Pixel = std::array<std::uint8_t, 3>;

/// A decoded PNG.
struct Pixels {
    int width = 0, height = 0;
    std::vector<std::uint8_t> rgb;

    Pixel at(int x, int y) const {
        const auto place =
            3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x));
        return {rgb.at(place), rgb.at(place + 1), rgb.at(place + 2)};
    }
};

inline Pixels read_png(const std::filesystem::path& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_file(&image, path.c_str()) == 0) throw std::runtime_error(image.message);
    image.format = PNG_FORMAT_RGB;
    Pixels pixels{static_cast<int>(image.width), static_cast<int>(image.height), {}};
    pixels.rgb.resize(PNG_IMAGE_SIZE(image));
    if (png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr) == 0)
        throw std::runtime_error(image.message);
    return pixels;
}

}  // namespace scopenode::test
