#include <algorithm>
#include <cmath>

#include "base/core/ids.h"
#include "workflows/results/report_parts.h"

namespace scopenode::workflows {
namespace {

std::string joined(const std::vector<std::string>& words, const std::string& last) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? last : ", ";
        text += words[i];
    }
    return text;
}

std::string slices_in_words(const StudyAnalysis& analysis) {
    const std::size_t count = analysis.slices.size();
    return fmt::format("{} CT slice{}", count, count == 1 ? "" : "s");
}

std::string without_end(std::string sentence) {
    while (!sentence.empty() && (sentence.back() == '.' || sentence.back() == ' ')) sentence.pop_back();
    return sentence;
}

std::string undetermined_words(const StudyAnalysis& analysis) {
    std::string text = "No statement about intracranial hemorrhage: all six findings are undetermined.";
    if (!analysis.reasons.empty()) {
        std::vector<std::string> why;
        for (const Reason& reason : analysis.reasons) why.push_back(without_end(reason.text));
        text += " Reason: " + joined(why, "; ") + ".";
    }
    return text + " Undetermined does not mean absent.";
}

std::string determined_words(const StudyAnalysis& analysis, const Verdicts& verdicts) {
    std::vector<std::string> present, absent, unknown;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
        const Verdict& v = verdicts[i];
        if (v.presence == Presence::kPresent)
            present.push_back(fmt::format("{} (probability {:.4f}, threshold {:.4f})", finding_name(i),
                                          v.probability.value_or(0), analysis.manifest.thresholds[i]));
        else if (v.presence == Presence::kAbsent)
            absent.push_back(finding_name(i));
        else
            unknown.push_back(finding_name(i));
    }
    std::string text;
    if (!present.empty()) text += "Suspected: " + joined(present, " and ") + ".";
    if (present.empty() && unknown.empty())
        text += fmt::format(
            "No finding reached its threshold: {} absent (probability {:.4f}, threshold {:.4f}).",
            finding_name(0), verdicts[0].probability.value_or(0), analysis.manifest.thresholds[0]);
    if (verdicts[0].presence == Presence::kPresent && !analysis.slices.empty()) {
        const std::size_t best = highest_slice(analysis, 0);
        text += fmt::format(" Highest on slice {} of {} from below (z = {:.1f} mm).", best + 1,
                            analysis.slices.size(), analysis.slices[best].z_mm);
    }
    if (present.size() == 1 && verdicts[0].presence == Presence::kPresent && unknown.empty())
        text += " No single type reached its threshold: the type is open.";
    if (!unknown.empty())
        text += " Undetermined, which does not mean absent: " + joined(unknown, " and ") + ".";
    if (!absent.empty()) text += " Below the threshold: " + joined(absent, " and ") + ".";
    return text;
}

}  // namespace

std::size_t highest_slice(const StudyAnalysis& analysis, std::size_t label) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < analysis.slices.size(); ++i) {
        const float score = analysis.slices[i].scores[label];
        if (score > analysis.slices[best].scores[label] || std::isnan(analysis.slices[best].scores[label]))
            best = i;
    }
    return best;
}

Verdicts verdicts_of(const StudyAnalysis& analysis) {
    Verdicts verdicts{};
    if (!analysis.determined) return verdicts;
    std::vector<ml::Scores> calibrated;
    for (const AnalysedSlice& slice : analysis.slices)
        calibrated.push_back(ml::calibrate(analysis.manifest, slice.scores));
    for (std::size_t label = 0; label < ml::kLabelCount; ++label) {
        Verdict& v = verdicts[label];
        const double p = static_cast<double>(analysis.probabilities[label]);
        if (!std::isfinite(p)) {
            v.not_a_number = true;
            continue;
        }
        v.presence = analysis.findings[label];
        v.probability = p;
        for (std::size_t i = 0; i < calibrated.size(); ++i)
            if (static_cast<double>(calibrated[i][label]) >= analysis.manifest.thresholds[label])
                v.sources.push_back(i);
        if (v.presence == Presence::kPresent && v.sources.empty() && !calibrated.empty())
            v.sources.push_back(highest_slice(analysis, label));
    }
    return verdicts;
}

std::string finding_name(std::size_t label) {
    return (label == 0 ? "intracranial" : std::string(ml::kLabels.at(label))) + " hemorrhage";
}

std::string tracking_identifier(std::size_t label, Presence presence) {
    std::string text = finding_name(label) + " " + std::string(word(presence));
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

std::string tracking_uid(const std::string& study_uid, std::size_t label) {
    return uid_from_text("scopenode tracking|" + study_uid + "|" + std::string(ml::kLabels.at(label)));
}

std::string conclusion_words(const StudyAnalysis& analysis, const Verdicts& verdicts) {
    std::string text;
    if (analysis.manifest.demonstration) text += "DEMONSTRATION, not for patients. ";
    text += analysis.slices.empty() ? "No series of the study could be analysed. "
                                    : fmt::format("Automated analysis of {}. ", slices_in_words(analysis));
    text += analysis.determined ? determined_words(analysis, verdicts) : undetermined_words(analysis);
    return text + " Preliminary, not verified by a physician.";
}

}  // namespace scopenode::workflows
