#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/core/result.h"

namespace scopenode::ml {

/// Writes an 8-bit picture, row by row: `channels` is 1 (grey) or 3 (RGB).
Status write_png(const std::filesystem::path& path, int width, int height, int channels,
                 const std::vector<std::uint8_t>& pixels);

}  // namespace scopenode::ml
