#pragma once
#include <string>

namespace scopenode::storage {

/// `raw` in the DICOM character set `charset` (value of (0008,0005), several values with backslashes) as
/// UTF-8. Bytes that the set does not explain are read as Latin-1: the result is always UTF-8 without control
/// characters.
std::string to_utf8(const std::string& raw, const std::string& charset);

}  // namespace scopenode::storage
