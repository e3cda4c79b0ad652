#pragma once
#include <filesystem>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "storage/dicom/rescale.h"

namespace scopenode::storage {

/// Pixels of a single-frame CT in HU: decoded, Modality LUT applied (slope, intercept), pixel padding (value and
/// range) and everything below -1024 set to -1024. kUnsupported names a transfer syntax without decoder.
Result<HuImage> read_hu(const std::filesystem::path& file, Rescale rescale = Rescale::kAsTold);

}  // namespace scopenode::storage
