#pragma once
#include <filesystem>

#include "base/core/result.h"

class DcmFileFormat;

namespace scopenode::storage {

/// Where reading stops: a header needs no pixels.
enum class ReadUpTo { kPixelData, kEnd };

/// DcmFileFormat::loadFile for files from anywhere: sequences that are nested so deeply that the parser would
/// use up the stack are refused, and so are deflated files that grow beyond 64 MB. Long values stay on disk.
/// Every file that was not made by this process is read through it.
Status parse_file(DcmFileFormat& file, const std::filesystem::path& path, ReadUpTo end);

}  // namespace scopenode::storage
