#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "config/settings.h"
#include "ml/model.h"
#include "workflows/results/report.h"

namespace scopenode::workflows {

/// Where the images of an analysis are and how their pixels are read.
struct SliceSource {
    std::function<std::filesystem::path(const AnalysedSlice&)> file;
    std::function<Result<HuImage>(const std::filesystem::path&)> pixels;
};

/// The slices worth showing, at most five, as places in `analysis.slices`; empty when nothing is present.
///  1. for each present finding its highest slice: single types first, the more probable before the less
///     probable, hemorrhage of any type last;
///  2. then those slices over the threshold of a present finding with the highest score that lie at least
///     10 mm from all chosen before.
std::vector<std::size_t> key_slices(const StudyAnalysis& analysis);

/// What belongs to a report beside it: "sc-1".. (RGB Secondary Capture of the key slices; of the highest
/// slice or a page of words when nothing is present or all is undetermined), "ko" (Key Object Selection of
/// the original key slices; none without key slices) and, where asked for, "pr-1".. (presentation states).
struct Companions {
    std::vector<EncodedObject> objects;
    std::optional<Reason> left_out;  ///< why there are no pictures
};
/// Same input, same bytes, as far as the model's maps are the same. A picture that cannot be made is a
/// reason, never an error: the report stands without it.
Result<Companions> encode_companions(const StudyAnalysis& analysis, const ReportContext& context,
                                     const ml::Model& model, const SliceSource& source,
                                     bool presentation_states);
/// The same without pictures, when making them has failed too often.
Result<Companions> encode_without_pictures(const StudyAnalysis& analysis, const ReportContext& context,
                                           const std::string& why);

/// The destination with its "auto" replaced by the richest SR class that it takes; as long as none is known,
/// by Comprehensive 3D. `taken`: SOP classes and what negotiation has taught about them.
config::Destination with_sr_class(config::Destination destination, const std::map<std::string, bool>& taken);
/// The SR class that a destination wants; nothing: no report goes there.
std::optional<SrClass> sr_class_of(const config::Destination& destination);
/// Whether an object of this kind goes to a destination.
bool wants(const config::Destination& destination, const std::string& kind);
/// Place in the outbox: reports 0, overlays 1, key objects 2, presentation states 3.
int delivery_rank(const std::string& kind);

}  // namespace scopenode::workflows
