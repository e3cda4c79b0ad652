#pragma once
#include <filesystem>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "storage/dicom/rescale.h"

namespace scopenode::storage {

inline constexpr long kMostPixels = 64L << 20;
/// What any HU that is read lies between; no tissue and no metal is beyond.
inline constexpr float kLeastHu = -1024, kMostHu = 1e9F;

/// Pixels of a single-frame CT in HU: decoded, Modality LUT applied (slope, intercept), pixel padding (value
/// and range) and everything below -1024 set to -1024. kUnsupported names a transfer syntax without decoder.
Result<HuImage> read_hu(const std::filesystem::path& file, Rescale rescale = Rescale::kAsTold);

struct ImageSize {
    int width = 0, height = 0;
};
/// As read_hu() where no decoder is needed; otherwise an image of that size without any values.
Result<HuImage> read_uncompressed_hu(const std::filesystem::path& file, Rescale rescale = Rescale::kAsTold);

}  // namespace scopenode::storage
