#pragma once
#include <array>
#include <optional>

#include "ml/figures/slice_picture.h"
#include "workflows/results/bundle.h"
#include "workflows/results/report_parts.h"

/// The parts of encode_companions(), for its own files only.
namespace scopenode::workflows {

/// One slice, read and explained.
struct KeySlice {
    std::size_t place = 0;  ///< in analysis.slices
    storage::InstanceHeader header;
    HuImage image;
    std::optional<double> rescale_slope, rescale_intercept;
    ml::Grid heat;        ///< of the present findings together; empty: none
    ml::Outline outline;  ///< around its hottest area
};
/// kIdentityMismatch when the file is not that slice of that patient.
Result<KeySlice> read_key_slice(const StudyAnalysis& analysis, std::size_t place, const SliceSource& source);
Status add_heat(KeySlice& slice, const Verdicts& verdicts, const ml::Model& model);

/// Sides of the patient at the left, right, upper and lower edge: "R", "L", "A", "PH"; "" when not known.
std::array<std::string, 4> edge_letters(const storage::InstanceHeader& header);
/// "slice 14 of 28 from below, z = 12.5 mm (image 14 of series 2)"
std::string position_words(const StudyAnalysis& analysis, const KeySlice& slice);

/// `slice` nullptr: a page of words. `number` from 1.
Result<EncodedObject> encode_overlay(const StudyAnalysis& analysis, const ReportContext& context,
                                     const Verdicts& verdicts, const KeySlice* slice, int number);
Result<EncodedObject> encode_key_objects(const StudyAnalysis& analysis, const ReportContext& context,
                                         const std::vector<std::size_t>& places);
Result<EncodedObject> encode_presentation_state(const StudyAnalysis& analysis, const ReportContext& context,
                                                const Verdicts& verdicts, const KeySlice& slice, int number);

}  // namespace scopenode::workflows
