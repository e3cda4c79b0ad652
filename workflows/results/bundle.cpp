#include "workflows/results/bundle.h"

#include <algorithm>

#include "base/log.h"
#include "workflows/reasons.h"
#include "workflows/results/bundle_parts.h"

namespace scopenode::workflows {
namespace {

Status add_pictures(Companions& made, const StudyAnalysis& analysis, const ReportContext& context,
                    const ml::Model& model, const SliceSource& source, bool presentation_states) {
    const Verdicts verdicts = verdicts_of(analysis);
    std::vector<std::size_t> places = key_slices(analysis);
    if (!analysis.determined) {
        SCOPENODE_ASSIGN(auto page, encode_overlay(analysis, context, verdicts, nullptr, 1));
        made.objects.push_back(std::move(page));
        return {};
    }
    const bool summary_only = places.empty();
    if (summary_only) places.push_back(highest_slice(analysis, 0));
    std::vector<EncodedObject> states;
    for (std::size_t i = 0; i < places.size(); ++i) {
        const int number = static_cast<int>(i) + 1;
        SCOPENODE_ASSIGN(KeySlice slice, read_key_slice(analysis, places[i], source));
        SCOPENODE_TRY(add_heat(slice, verdicts, model));
        SCOPENODE_ASSIGN(auto overlay, encode_overlay(analysis, context, verdicts, &slice, number));
        made.objects.push_back(std::move(overlay));
        if (!presentation_states || summary_only) continue;
        SCOPENODE_ASSIGN(auto state, encode_presentation_state(analysis, context, verdicts, slice, number));
        states.push_back(std::move(state));
    }
    std::move(states.begin(), states.end(), std::back_inserter(made.objects));
    return {};
}

Status add_key_objects(Companions& made, const StudyAnalysis& analysis, const ReportContext& context) {
    const auto places = key_slices(analysis);
    if (places.empty()) return {};
    SCOPENODE_ASSIGN(auto selection, encode_key_objects(analysis, context, places));
    made.objects.push_back(std::move(selection));
    return {};
}

}  // namespace

Result<Companions> encode_companions(const StudyAnalysis& analysis, const ReportContext& context,
                                     const ml::Model& model, const SliceSource& source,
                                     bool presentation_states) {
    SCOPENODE_TRY(check_reportable(analysis));
    Companions made;
    const Status pictures = guard(Code::kInternal, [&] {
        return add_pictures(made, analysis, context, model, source, presentation_states);
    });
    if (!pictures) return encode_without_pictures(analysis, context, pictures.error().message);
    SCOPENODE_TRY(add_key_objects(made, analysis, context));
    return made;
}

Result<Companions> encode_without_pictures(const StudyAnalysis& analysis, const ReportContext& context,
                                           const std::string& why) {
    SCOPENODE_TRY(check_reportable(analysis));
    log::warning("work", "study {}: no pictures: {}", analysis.header.study_uid, why);
    Companions made;
    made.left_out = reason(reasons::kOverlaysLeftOut, why);
    SCOPENODE_TRY(add_key_objects(made, analysis, context));
    return made;
}

config::Destination with_sr_class(config::Destination destination, const std::map<std::string, bool>& taken) {
    static constexpr std::pair<const char*, SrClass> kRichestFirst[] = {
        {"comprehensive3d", SrClass::kComprehensive3d},
        {"comprehensive", SrClass::kComprehensive},
        {"enhanced", SrClass::kEnhanced},
        {"basic_text", SrClass::kBasicText}};
    std::string& sr = destination.bundle.sr;
    if (sr != "auto") return destination;
    sr = kRichestFirst[0].first;
    for (const auto& [name, sr_class] : kRichestFirst) {
        const auto known = taken.find(sop_class_of(sr_class));
        if (known == taken.end() || !known->second) continue;
        sr = name;
        break;
    }
    return destination;
}

std::optional<SrClass> sr_class_of(const config::Destination& destination) {
    const std::string& wanted = destination.bundle.sr;
    if (wanted == "none") return std::nullopt;
    if (wanted == "comprehensive") return SrClass::kComprehensive;
    if (wanted == "enhanced") return SrClass::kEnhanced;
    if (wanted == "basic_text") return SrClass::kBasicText;
    return SrClass::kComprehensive3d;
}

bool wants(const config::Destination& destination, const std::string& kind) {
    const auto& bundle = destination.bundle;
    if (kind.starts_with("sc-")) return bundle.overlays;
    if (kind == "ko") return bundle.key_objects;
    if (kind.starts_with("pr-")) return bundle.presentation_states;
    const auto wanted = sr_class_of(destination);
    return wanted && kind == kind_of(*wanted);
}

int delivery_rank(const std::string& kind) {
    return kind.starts_with("sc-") ? 1 : kind == "ko" ? 2 : kind.starts_with("pr-") ? 3 : 0;
}

}  // namespace scopenode::workflows
