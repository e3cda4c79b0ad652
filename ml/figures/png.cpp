#include "ml/figures/png.h"

#include <png.h>

namespace scopenode::ml {

Status write_png(const std::filesystem::path& path, int width, int height, int channels,
                 const std::vector<std::uint8_t>& pixels) {
    if (width < 1 || height < 1 || (channels != 1 && channels != 3) ||
        pixels.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                             static_cast<std::size_t>(channels))
        return fail(Code::kInvalidArgument, "{} x {} x {} does not fit {} bytes of a picture", width, height,
                    channels, pixels.size());
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(height);
    image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr) == 0)
        return fail(Code::kIo, "{} cannot be written: {}", path.string(), image.message);
    return {};
}

}  // namespace scopenode::ml
