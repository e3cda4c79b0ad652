#pragma once
#include <string_view>

namespace scopenode::ml {

/// Whether lists and objects nest deeper than in any file of ours. Writing such JSON recurses, so that a
/// hostile file could use up the stack.
bool nests_too_deep(std::string_view json);

}  // namespace scopenode::ml
