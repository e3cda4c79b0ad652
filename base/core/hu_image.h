#pragma once
#include <vector>

namespace scopenode {

/// One slice in Hounsfield units, row-major, top left first. Outside the field of view (padding) is -1024 or less.
struct HuImage {
    int width = 0;
    int height = 0;
    std::vector<float> hu;  ///< width * height
};

}  // namespace scopenode
