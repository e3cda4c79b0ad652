#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/core/result.h"

class DcmDataset;
class DcmFileFormat;

namespace scopenode::storage {

/// Where reading stops: a header needs no pixels.
enum class ReadUpTo { kPixelData, kEnd };

/// DcmFileFormat::loadFile for files from anywhere: sequences that are nested so deeply that the parser would
/// use up the stack are refused, and so are deflated files that grow beyond 64 MB. Long values stay on disk.
/// Every file that was not made by this process is read through it.
Status parse_file(DcmFileFormat& file, const std::filesystem::path& path, ReadUpTo end);

/// A data set that came over an association, in an uncompressed and not deflated transfer syntax, within the same
/// bounds. `bytes` must outlive the call only.
Status parse_data_set(DcmDataset& data_set, std::string_view bytes, const std::string& transfer_syntax_uid);

}  // namespace scopenode::storage
