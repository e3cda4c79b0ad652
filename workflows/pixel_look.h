#pragma once
#include <string>

#include "base/core/hu_image.h"
#include "base/core/result.h"

namespace scopenode::workflows {

/// What one slice looks like, in numbers that are cheap to compute (under 1 ms for 512 x 512) and small
/// enough to be stored with its scores. Lengths and areas are in pixels: the spacing is in the header. Shares
/// are 0..1; where there is nothing to measure a number is 0.
struct SliceLook {
    double width = 0, height = 0;
    double least_hu = 0, most_hu = 0;
    double padding_share = 0;    ///< pixels at -1024: padding, and whatever was below
    double air_share = 0;        ///< below -900
    double brain_share = 0;      ///< 0 to 80
    double brain_median_hu = 0;  ///< of the pixels from 0 to 80
    double brain_noise_hu = 0;   ///< robust standard deviation, from neighbours that both are from 0 to 80
    double bone_share = 0;       ///< above 300
    double air_peak_hu = 0;  ///< most frequent value below -500 that is not padding; -1024 when all of it is
    double tissue_peak_hu = 0;  ///< most frequent value within the body
    double body_pixels = 0;     ///< cross-section of the largest thing that is not air, holes filled
    double body_hollow = 0;     ///< share of it that is below -300 (lungs, sinuses)
    double body_long = 0, body_short = 0;  ///< full axes of the ellipse with its second moments
    /// Directions from the middle of the body that meet bone in its outer half; 1: a closed ring.
    double ring_share = 0;
    /// Share of brain-like values (-10 to 100) of what lies within that ring.
    double inside_brain = 0;
};

SliceLook look_at(const HuImage& image);

/// One line, the same text for the same look; parse_look() reads it again (kCannotUnderstand).
std::string look_json(const SliceLook& look);
Result<SliceLook> parse_look(const std::string& json);

}  // namespace scopenode::workflows
