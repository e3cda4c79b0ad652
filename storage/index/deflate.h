#pragma once
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace scopenode::storage {

/// Bytes made smaller (zlib, its fastest level), and back; `plain_size` is the size before. kDatabase when
/// the bytes are not what deflated() gave.
Result<std::string> deflated(std::string_view bytes);
Result<std::string> inflated(std::string_view bytes, std::size_t plain_size);

}  // namespace scopenode::storage
