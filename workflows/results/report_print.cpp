#include <algorithm>

#include "workflows/results/report.h"

namespace scopenode::workflows {
namespace {

/// Text of a file on a terminal: no control characters, which could move the cursor or change the title.
std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 127; }, ' ');
    return text;
}

std::string number(const std::optional<double>& value) {
    return value ? fmt::format("{:.4f}", *value) : "-";
}

}  // namespace

std::string report_in_words(const ReadReport& r) {
    std::string text =
        printable(r.series_description.empty() ? "Structured report" : r.series_description) + "\n";
    const auto line = [&](const char* what, const std::string& value) {
        if (!value.empty()) text += fmt::format("  {:<14} {}\n", what, printable(value));
    };
    line("patient", r.patient_name.empty() ? r.patient_id : r.patient_name + " (" + r.patient_id + ")");
    line("study", r.study_uid);
    line("report", r.sop_instance_uid);
    line("replaces", r.predecessor_sop_instance_uid);
    line("state", r.completion + ", " + r.verification + (r.preliminary.empty() ? "" : ", " + r.preliminary));
    line("algorithm",
         r.algorithm_name + (r.algorithm_version.empty() ? "" : ", version " + r.algorithm_version));
    line("manifest", r.manifest_sha256);
    line("evidence", fmt::format("{} image{}", r.evidence.size(), r.evidence.size() == 1 ? "" : "s"));
    if (r.findings.empty()) {
        text += "\n  It holds no finding that ScopeNode knows.\n";
    } else {
        text += fmt::format("\n  {:<18} {:<13} {:>11} {:>10} {:>14}\n", "finding", "presence", "probability",
                            "threshold", "source slices");
        for (const auto& f : r.findings)
            text += fmt::format("  {:<18} {:<13} {:>11} {:>10} {:>14}\n", f.label, word(f.presence),
                                number(f.probability), number(f.threshold), f.source_slices.size());
    }
    const auto paragraph = [&](const std::string& value) {
        if (!value.empty()) text += "\n  " + printable(value) + "\n";
    };
    paragraph(r.conclusion);
    for (const std::string& reason : r.reasons) paragraph(reason);
    paragraph(r.intended_use);
    return text;
}

}  // namespace scopenode::workflows
