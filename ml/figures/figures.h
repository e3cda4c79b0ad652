#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/explain.h"

namespace scopenode::ml {

/// What the figures are drawn from. `explanation` is of `slice`; both must outlive the call.
struct FigureSource {
    const Explanation& explanation;
    const HuImage& slice;
    std::string slice_name;            ///< SOP instance UID or file name; no patient is named in a figure
    std::string model_name;            ///< of the manifest
    double row_mm = 1, column_mm = 1;  ///< pixel spacing, down and across; only the ratio matters
};

/// A picture that was written, for a person.
struct Figure {
    std::string file;  ///< below the folder
    std::string title;
    std::string caption;  ///< a few sentences
};

/// Writes the figures of the paper into `folder`, which exists: PNGs, explain.json, explain.safetensors and
/// index.html that shows all. Gives the pictures in the order of the page. Existing files of these names are
/// overwritten. kInvalidArgument when explanation or slice contradict themselves, kIo when something cannot
/// be written. Thread-safe.
Result<std::vector<Figure>> write_figures(const FigureSource& source, const std::filesystem::path& folder);

}  // namespace scopenode::ml
