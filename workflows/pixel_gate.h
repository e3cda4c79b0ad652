#pragma once
#include <array>
#include <optional>
#include <span>

#include "workflows/pixel_look.h"
#include "workflows/study.h"

namespace scopenode::workflows {

/// The look of a slice at its place in the stack.
struct PlacedLook {
    double z_mm = 0;
    std::optional<std::array<double, 2>> pixel_spacing_mm;  ///< without it nothing is said about sizes
    SliceLook look;
};

/// Is this stack a head with plausible HU? Looks at the pixels of the whole stack, never at a slice alone;
/// any order, slices that could not be decoded are simply not there. Nothing when all is well. The rules, in
/// order (in brackets what real heads of two scanners, RSNA slices and the phantoms of all five scanners
/// show, and what must be refused):
///  ALMOST_EMPTY          fewer than 40 % of the slices show anything larger than 15 cm2 [heads: over 90 %;
///                        nothing but air: none].
///  HU_IMPLAUSIBLE        by medians over the stack: above 300 HU lies over 35 % of the image, or over 15 %
///  while
///                        nothing is below -900 [heads: 3 to 12 %; values stored without rescale or turned
///                        round: 35 % and more]; or air is not from -1024 to -900 [-1023 to -991].
///  NOT_A_HEAD_BY_PIXELS  the cross-section is larger than 400 cm2 in more than half of the slices [heads to
///  324,
///                        chests from 528].
///  HU_IMPLAUSIBLE        the soft tissue of the body is not from -60 to 120 HU, by the median over the stack
///  [25
///                        to 45; plastic of a phantom 95].
///  NOT_A_HEAD_BY_PIXELS  slices that look like a head lie side by side over less than 20 mm or less than a
///  fifth
///                        of the slices with a body [heads: over half].
/// A slice looks like a head when bone stands in the outer half of the body in at least 55 % of all
/// directions [heads above the skull base 93 to 100 %, chests and abdomens to 46 %, water 0] and half of what
/// lies within is from -10 to 100 HU [heads 57 to 100 %, chests to 43 %]; or when a nearly closed ring (90 %)
/// is hollow for 70 % and more: an empty skull, as some phantoms are. What this lets pass, on purpose: blood,
/// however much (it is below 100 HU), and contrast agent (vessels are few); metal and its streaks; a defect
/// of the skull of up to 40 % of its circumference; the thin skull of a child (nothing asks how thick it is);
/// slices at the base and the top, which may look like nothing as long as 20 mm between them do. With fewer
/// than five slices only emptiness, air, bone and size are judged.
std::optional<Reason> judge_looks(std::span<const PlacedLook> stack);

/// Bone around brain, as above; for one slice.
bool looks_like_head(const PlacedLook& slice);

}  // namespace scopenode::workflows
