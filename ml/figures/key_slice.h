#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "ml/figures/canvas.h"
#include "ml/figures/slice_picture.h"

namespace scopenode::ml {

/// A slice as it is shown beside the words of a legend.
struct ShownSlice {
    const HuImage& slice;
    double row_mm = 0, column_mm = 0;  ///< pixel spacing, down and across; 0: not known, then no scale
    std::array<std::string, 4> edges;  ///< which side of the patient is left, right, above, below
    Grid heat;                         ///< 0..1 over the slice; empty: none
    Outline outline;                   ///< drawn over the heat
};

/// The words beside or instead of a slice. All of them are the caller's.
struct Legend {
    std::string warning;  ///< first and in amber, "" none
    std::string title;
    struct Bar {
        std::string name, value;
        std::optional<double> share, mark;  ///< 0..1: length of the bar, place of the threshold
        bool strong = false;
    };
    std::vector<Bar> bars;
    std::vector<std::string> facts;  ///< one line or more each
    bool explains_heat = false;      ///< a bar of the heat map's colours
    std::vector<std::string> notes;  ///< small, at the end
};

/// White on black at one pixel a point, so that a slice of 512 pixels keeps its own ones.
struct KeyPicture {
    Canvas canvas;
    Rect image;  ///< where the slice lies; empty on a page of words
};
/// The slice is shown unturned in whole multiples of its pixels, at least 512 across, with nothing over it
/// but heat and outline; letters, scale and words stand beside it.
KeyPicture draw_key_slice(const ShownSlice& shown, const Legend& legend);
/// The words alone.
KeyPicture draw_words(const Legend& legend);

}  // namespace scopenode::ml
