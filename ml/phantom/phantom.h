#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/labels.h"

namespace scopenode::ml {

/// How one make of scanner stores its slices, and how they look.
struct Scanner {
    std::string name;  ///< "ge_like", ...
    std::string manufacturer;
    std::string model;
    std::string kernel;
    bool is_signed = true;
    int bits_stored = 16;
    int intercept = -1024;  ///< HU = raw * 1 + intercept
    int padding_raw = 0;    ///< raw value outside the field of view
    bool has_padding = true;
    double pixel_mm = 0.45;  ///< at 512 pixels
    double slice_mm = 5;
    double tilt_degrees = 0;  ///< gantry tilt
    float noise_hu = 5;       ///< at 5 mm
    float hu_gain = 1;        ///< of everything denser than fat, about water; air stays where it is
    float hu_offset = 0;      ///< the same for a scanner that does not stand at 0 in water
    float sharpening = 0;     ///< of edges; below 0: blur, at least -1
    float cupping_hu = 0;     ///< beam hardening left in: denser so much 70 mm from the middle
    bool in_mix = true;       ///< drawn where no scanner is named
};
/// Those that are not in the mix come last.
const std::vector<Scanner>& phantom_scanners();

struct PhantomOptions {
    int slices = 28;
    int size = 512;  ///< pixels
    std::uint64_t seed = 1;
    double positive_rate = 0.5;
    std::string scanner;  ///< empty: mixed
};

/// One synthetic head CT with its truth. Everything depends on (options, number) alone.
struct PhantomStudy {
    Scanner scanner;
    std::array<bool, kLabelCount> findings{};  ///< of the study, `any` first
    std::vector<std::array<bool, kLabelCount>> slice_findings;
    std::vector<HuImage> slices;  ///< caudal to cranial; padding = -2000
    std::vector<double> z_mm;
    double volume_ml = 0;                  ///< of blood
    double contrast_hu = 0;                ///< blood minus what is around, mean; 0 when none
    std::vector<std::string> confounders;  ///< calcification, artefact, ... without label
};
Result<PhantomStudy> make_phantom(const PhantomOptions& options, std::uint64_t number);

/// Two guesses that learn nothing, for comparison with a model: the highest 5 mm-smoothed HU inside the
/// skull, and the volume (ml) of 50-90 HU inside the skull.
struct BaselineScores {
    double highest_hu = 0;
    double dense_volume_ml = 0;
};
BaselineScores baseline_scores(const std::vector<HuImage>& slices, double pixel_mm, double slice_mm);

}  // namespace scopenode::ml
