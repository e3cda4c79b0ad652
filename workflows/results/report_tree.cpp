#include "base/core/ids.h"
#include "ml/aggregate.h"
#include "workflows/results/sr_tree.h"

namespace scopenode::workflows {
namespace {

using T = DSRTypes;

std::string calibration_words(const ml::Manifest& manifest, std::size_t label) {
    const auto& c = manifest.calibration;
    if (c.method == "none") return "none: probabilities are the model's own";
    return fmt::format("{}, scale {:.4f}, offset {:.4f}, fitted on {}", c.method, c.scale[label],
                       c.offset[label], c.data.empty() ? "data not named" : c.data);
}

void algorithm(Tree& tree, const StudyAnalysis& analysis, std::size_t label) {
    tree.text(T::RT_hasConceptMod, "algorithm_name", analysis.manifest.name);
    tree.text(T::RT_hasConceptMod, "algorithm_version", analysis.manifest.version);
    tree.text(T::RT_hasConceptMod, "algorithm_parameters", "manifest_sha256=" + analysis.manifest_sha256);
    tree.text(T::RT_hasConceptMod, "algorithm_parameters",
              "calibration=" + calibration_words(analysis.manifest, label));
    tree.text(T::RT_hasConceptMod, "algorithm_parameters",
              "study_probability=" + std::string(ml::aggregation_method()));
    tree.text(
        T::RT_hasConceptMod, "algorithm_parameters",
        "slice_values=not calibrated; source slices are those whose calibrated value reaches the threshold");
}

void study_probability(Tree& tree, const StudyAnalysis& analysis, const Verdict& verdict, std::size_t label) {
    if (!verdict.probability && !verdict.not_a_number) return;
    tree.open_number(T::RT_contains, "probability", verdict.probability.value_or(std::nan("")));
    tree.code(T::RT_hasConceptMod, "derivation", "maximum");
    tree.number(T::RT_inferredFrom, "threshold", analysis.manifest.thresholds[label]);
    tree.close();
}

/// Every slice of the first finding, of the others only those over the threshold.
void slice_probabilities(Tree& tree, const StudyAnalysis& analysis, const Verdict& verdict,
                         std::size_t label) {
    const auto one = [&](const AnalysedSlice& slice) {
        tree.open_number(T::RT_contains, "probability", static_cast<double>(slice.scores[label]));
        tree.image(T::RT_inferredFrom, slice);
        tree.close();
    };
    if (label == 0) {
        for (const AnalysedSlice& slice : analysis.slices) one(slice);
    } else {
        for (const std::size_t i : verdict.sources) one(analysis.slices[i]);
    }
}

void group(Tree& tree, const StudyAnalysis& analysis, const Verdict& verdict, std::size_t label) {
    static constexpr std::array<const char*, 3> kPresence{"present", "absent", "undetermined"};
    const CodeTable::Finding& finding = tree.codes().finding(label);
    tree.open_group();
    tree.text(T::RT_hasObsContext, "tracking_identifier", tracking_identifier(label, verdict.presence));
    tree.uid(T::RT_hasObsContext, "tracking_uid", tracking_uid(analysis.header.study_uid, label));
    tree.code(T::RT_contains, "finding", finding.sent);
    tree.code(T::RT_hasConceptMod, "finding_site", finding.site);
    algorithm(tree, analysis, label);
    tree.code(T::RT_contains, "presence", kPresence.at(static_cast<std::size_t>(verdict.presence)));
    study_probability(tree, analysis, verdict, label);
    for (const std::size_t i : verdict.sources) tree.image(T::RT_contains, analysis.slices[i]);
    // Without a finding, numbers of single slices would be read as one.
    if (analysis.determined) slice_probabilities(tree, analysis, verdict, label);
    tree.close();
}

void qualitative(Tree& tree, const StudyAnalysis& analysis, const Verdicts& verdicts) {
    tree.open(T::RT_contains, T::VT_Container, "qualitative");
    tree.text(T::RT_contains, "conclusion", conclusion_words(analysis, verdicts));
    put_reasons(tree, analysis);
    std::string use(kIntendedUse);
    if (analysis.manifest.demonstration) use = "DEMONSTRATION model, never for patients. " + use;
    tree.text(T::RT_contains, "intended_use", use);
    tree.text(T::RT_contains, "manifest", analysis.manifest_sha256);
    const auto& calibration = analysis.manifest.calibration;
    tree.text(T::RT_contains, "calibration",
              calibration.method + (calibration.data.empty() ? "" : ", fitted on " + calibration.data));
    tree.close();
}

}  // namespace

void put_reasons(Tree& tree, const StudyAnalysis& analysis) {
    for (const Reason& reason : analysis.reasons)
        tree.text(T::RT_contains, analysis.determined ? "remark" : "reason",
                  reason.code + ": " + reason.text);
}

void put_observer(Tree& tree, const StudyAnalysis& analysis, const ReportContext& context) {
    tree.code(T::RT_hasConceptMod, "language", "english");
    tree.code(T::RT_hasObsContext, "observer_type", "device");
    tree.uid(T::RT_hasObsContext, "device_uid",
             is_legal_uid(context.node_uid) ? context.node_uid
                                            : uid_from_text("scopenode node|" + context.node_uid));
    tree.text(T::RT_hasObsContext, "device_name", "ScopeNode " + context.program_version);
    tree.text(T::RT_hasObsContext, "device_manufacturer", std::string(kManufacturer));
    tree.text(T::RT_hasObsContext, "device_model", analysis.manifest.name);
    tree.text(T::RT_hasObsContext, "station_ae", context.station_ae);
}

Status write_tree(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                  const Verdicts& verdicts, SrClass sr_class) {
    return guard(Code::kInternal, [&]() -> Status {
        Tree tree(sr_class == SrClass::kComprehensive ? T::DT_ComprehensiveSR
                  : sr_class == SrClass::kEnhanced    ? T::DT_EnhancedSR
                                                      : T::DT_Comprehensive3DSR,
                  "report", "1500");
        put_observer(tree, analysis, context);
        tree.code(T::RT_hasConceptMod, "procedure_reported", "head_ct");
        tree.open(T::RT_contains, T::VT_Container, "measurements");
        for (std::size_t label = 0; label < ml::kLabelCount; ++label)
            group(tree, analysis, verdicts.at(label), label);
        tree.close();
        qualitative(tree, analysis, verdicts);
        return tree.write(dataset);
    });
}

}  // namespace scopenode::workflows
