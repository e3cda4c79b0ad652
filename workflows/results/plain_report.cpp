#include "workflows/results/sr_tree.h"

namespace scopenode::workflows {
namespace {

using T = DSRTypes;

/// "Subdural hemorrhage: suspected, probability 0.8765, threshold 0.4500."
std::string sentence_of(const StudyAnalysis& analysis, const Verdict& verdict, std::size_t label) {
    std::string text = finding_name(label);
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
    switch (verdict.presence) {
        case Presence::kPresent:
            text += ": suspected";
            break;
        case Presence::kAbsent:
            text += ": below the threshold";
            break;
        default:
            return text + ": undetermined, which does not mean absent.";
    }
    return text + fmt::format(", probability {:.4f}, threshold {:.4f}.", verdict.probability.value_or(0),
                              analysis.manifest.thresholds[label]);
}

}  // namespace

Status write_plain_tree(DcmItem& dataset, const StudyAnalysis& analysis, const ReportContext& context,
                        const Verdicts& verdicts) {
    return guard(Code::kInternal, [&]() -> Status {
        Tree tree(T::DT_BasicTextSR, "plain_report", "");
        put_observer(tree, analysis, context);
        std::string use(kIntendedUse);
        if (analysis.manifest.demonstration) use = "DEMONSTRATION model, never for patients. " + use;
        tree.text(T::RT_contains, "intended_use", use);
        tree.text(T::RT_contains, "conclusion", conclusion_words(analysis, verdicts));
        for (std::size_t label = 0; label < ml::kLabelCount; ++label) {
            tree.open_text(T::RT_contains, "finding", sentence_of(analysis, verdicts[label], label));
            if (verdicts[label].presence == Presence::kPresent && !analysis.slices.empty())
                tree.image(T::RT_inferredFrom, analysis.slices[highest_slice(analysis, label)]);
            tree.close();
        }
        put_reasons(tree, analysis);
        tree.text(T::RT_contains, "algorithm_name", analysis.manifest.name);
        tree.text(T::RT_contains, "algorithm_version", analysis.manifest.version);
        tree.text(T::RT_contains, "manifest", analysis.manifest_sha256);
        return tree.write(dataset);
    });
}

}  // namespace scopenode::workflows
