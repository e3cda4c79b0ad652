#pragma once
#include <filesystem>
#include <string>

#include "base/core/result.h"

namespace scopenode::storage {

/// SHA-256 of an instance's data set in Implicit VR Little Endian, pixels decoded, without group lengths and
/// padding elements (FFFC,FFFC): equal for one object in different lossless transfer syntaxes. Hex.
Result<std::string> content_digest(const std::filesystem::path& file);

/// SHA-256 of a file's bytes, 64 lower-case hex digits.
Result<std::string> file_sha256(const std::filesystem::path& path);

}  // namespace scopenode::storage
