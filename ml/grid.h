#pragma once
#include <vector>

namespace scopenode::ml {

/// A small picture or matrix, row-major.
struct Grid {
    int rows = 0, columns = 0;
    std::vector<float> values;
};

}  // namespace scopenode::ml
