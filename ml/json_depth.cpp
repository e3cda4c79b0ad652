#include "ml/json_depth.h"

namespace scopenode::ml {

bool nests_too_deep(std::string_view json) {
    constexpr int kDeepest = 32;
    int depth = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_text && c == '\\') {
            ++i;
        } else if (c == '"') {
            in_text = !in_text;
        } else if (!in_text && (c == '[' || c == '{')) {
            if (++depth > kDeepest) return true;
        } else if (!in_text && (c == ']' || c == '}')) {
            --depth;
        }
    }
    return false;
}

}  // namespace scopenode::ml
