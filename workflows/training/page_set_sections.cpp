#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "workflows/training/page_charts.h"
#include "workflows/training/page_markup.h"
#include "workflows/training/page_sections.h"

namespace scopenode::workflows {
namespace {

constexpr std::size_t kMostGroups = 30;

using Curve = std::vector<ml::CurvePoint> ModelNumbers::*;

ChartLine line_of(LineStyle style, const ModelNumbers& model, double figure, const char* what, Curve curve) {
    ChartLine line;
    line.style = style;
    line.words = fmt::format("{} {} {}", style == LineStyle::kCandidate ? "candidate" : "champion", what,
                             plain_text(figure));
    line.points = model.*curve;
    return line;
}

Chart roc_chart(const FindingNumbers& f, const std::string& title, bool small) {
    Chart chart;
    chart.title = title;
    chart.x_words = small ? "1 \u2212 specificity" : "1 \u2212 specificity (false alarms)";
    chart.y_words = small ? "" : "sensitivity";
    chart.small = small;
    chart.diagonal = true;
    chart.nothing = "one class is missing";
    const char* what = small ? "" : "AUROC";
    for (const auto& [style, model] :
         {std::pair(LineStyle::kCandidate, &f.candidate), std::pair(LineStyle::kChampion, &f.champion)}) {
        ChartLine line = line_of(style, *model, model->auroc, what, &ModelNumbers::roc);
        if (!line.points.empty())
            line.operating_point =
                ml::CurvePoint{1 - model->counts.specificity().value(), model->counts.sensitivity().value()};
        chart.lines.push_back(std::move(line));
    }
    return chart;
}

Chart precision_chart(const FindingNumbers& f, const std::string& title, bool small) {
    Chart chart;
    chart.title = title;
    chart.x_words = small ? "recall" : "recall (sensitivity)";
    chart.y_words = small ? "" : "precision";
    chart.small = small;
    chart.nothing = "no positive study";
    chart.level = static_cast<double>(f.positives) / static_cast<double>(f.positives + f.negatives);
    const char* what = small ? "" : "AUPRC";
    for (const auto& [style, model] :
         {std::pair(LineStyle::kCandidate, &f.candidate), std::pair(LineStyle::kChampion, &f.champion)}) {
        ChartLine line = line_of(style, *model, model->auprc, what, &ModelNumbers::precision_recall);
        line.steps = true;
        // From recall 0 on the first step has its precision.
        if (!line.points.empty()) line.points.insert(line.points.begin(), {0, line.points.front().y});
        const auto& counts = model->counts;
        const long said = counts.true_positives + counts.false_positives;
        if (said > 0)
            line.operating_point =
                ml::CurvePoint{counts.sensitivity().value(), ml::Share{counts.true_positives, said}.value()};
        chart.lines.push_back(std::move(line));
    }
    return chart;
}

Chart reliability_chart(const FindingNumbers& f) {
    Chart chart;
    chart.title = "Reliability of any";
    chart.x_words = "probability said";
    chart.y_words = "share that had it";
    chart.diagonal = true;
    chart.nothing = "no study";
    for (const auto& [style, model] :
         {std::pair(LineStyle::kCandidate, &f.candidate), std::pair(LineStyle::kChampion, &f.champion)}) {
        ChartLine line;
        line.style = style;
        line.marks = true;
        line.words = fmt::format("{} ECE {}", style == LineStyle::kCandidate ? "candidate" : "champion",
                                 plain_text(model->ece));
        for (const auto& bin : model->reliability)
            line.points.push_back({bin.mean, ml::Share{bin.positives, bin.studies}.value()});
        chart.lines.push_back(std::move(line));
    }
    return chart;
}

std::string share_cell(const std::string& at, const ml::Share& share) {
    if (share.of == 0) return "<td class=\"n\">\u2013</td>";
    return fmt::format("<td class=\"n\">{} <span class=\"muted ci\">{} to {}</span></td>",
                       keyed(at + "/value", share.value()), keyed(at + "/low", share.low(), 2),
                       keyed(at + "/high", share.high(), 2));
}

std::string finding_rows(const SetNumbers& set, std::size_t k) {
    const std::string label(ml::kLabels[k]), at = "/sets/" + set.name + "/findings/" + label;
    const FindingNumbers& f = set.findings[k];
    std::string out;
    for (const bool candidate : {true, false}) {
        const ModelNumbers& m = candidate ? f.candidate : f.champion;
        const std::string here = at + (candidate ? "/candidate" : "/champion");
        out += "<tr>";
        if (candidate)
            out += fmt::format(
                "<th rowspan=\"2\">{}</th><td class=\"n\" rowspan=\"2\">{}</td><td class=\"n\" "
                "rowspan=\"2\">{}</td>",
                label, keyed(at + "/positives", f.positives), keyed(at + "/negatives", f.negatives));
        out += fmt::format("<th>{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
                           candidate ? "candidate" : "champion", keyed(here + "/auroc", m.auroc),
                           keyed(here + "/auprc", m.auprc), keyed(here + "/threshold", m.threshold));
        out += share_cell(here + "/sensitivity", m.counts.sensitivity()) +
               share_cell(here + "/specificity", m.counts.specificity());
        out += fmt::format("<td class=\"n\">{}</td></tr>\n", keyed(here + "/ece", m.ece));
    }
    return out;
}

std::string figures_table(const SetNumbers& set) {
    std::string out =
        "<div class=\"scroll\"><table>\n<caption>Figures by finding, at each model's own "
        "threshold</caption>\n<thead><tr>"
        "<th>finding</th><th class=\"n\">positive</th><th class=\"n\">negative</th><th>model</th><th "
        "class=\"n\">AUROC</th><th class=\"n\">AUPRC</th><th class=\"n\">threshold</th><th "
        "class=\"n\">sensitivity (95 "
        "%)</th><th class=\"n\">specificity (95 %)</th><th class=\"n\">ECE</th></tr></thead>\n<tbody>\n";
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) out += finding_rows(set, k);
    return out + "</tbody>\n</table></div>\n";
}

std::string confusion_table(const std::string& at, const char* name, const ModelNumbers& m) {
    const ml::Confusion& c = m.counts;
    return fmt::format(
        "<table>\n<caption>{} at {}</caption>\n<thead><tr><th></th><th class=\"n\">said present</th><th "
        "class=\"n\">said "
        "absent</th></tr></thead>\n<tbody>\n<tr><th>hemorrhage</th><td class=\"n\">{}</td><td class=\"n\">{} "
        "missed</td></tr>\n<tr><th>none</th><td class=\"n\">{} false alarms</td><td "
        "class=\"n\">{}</td></tr>\n</tbody>\n</table>\n",
        name, keyed(at + "/threshold", m.threshold), keyed(at + "/true_positives", c.true_positives),
        keyed(at + "/false_negatives", c.false_negatives), keyed(at + "/false_positives", c.false_positives),
        keyed(at + "/true_negatives", c.true_negatives));
}

std::string number_cells(const GateCheck& c, const std::string& at) {
    const bool ratio = c.name == "latency" || c.name == "log loss";
    const bool count = c.name == "usable studies" || c.name == "enough data";
    const auto cell = [&](const char* key, double value, bool sign) {
        const std::string words = count  ? plain_text(value, 0)
                                  : sign ? signed_text(value)
                                         : plain_text(value);
        return fmt::format("<td class=\"n\"><span data-key=\"{}/{}\">{}</span></td>", at, key, words);
    };
    const bool sign = !ratio && !count && c.name != "above chance";
    return cell("value", c.value, sign) + cell("low", c.low, sign) + cell("high", c.high, sign) +
           cell("limit", c.limit, false);
}

std::string outcome(const GateCheck& c) {
    if (!c.decisive) return "\u25cb shown, does not decide";
    return c.passed ? "\u2713 passed" : "<span class=\"bad\">\u2717 NOT passed</span>";
}

}  // namespace

std::string curves_section(const SetNumbers& set) {
    const std::string at = "/sets/" + set.name;
    std::string out = fmt::format(
        "<h2>On the {} studies</h2>\n<p>{} studies of {} patients. Weighted log loss: candidate {}, champion "
        "{} (lower is "
        "better). The mark on a curve is the model's own threshold.</p>\n<div class=\"charts\">\n",
        set.name, keyed(at + "/studies", set.studies), keyed(at + "/patients", set.patients),
        keyed(at + "/weighted_log_loss/candidate", set.candidate_log_loss, 4),
        keyed(at + "/weighted_log_loss/champion", set.champion_log_loss, 4));
    const FindingNumbers& any = set.findings[0];
    for (const Chart& chart :
         {roc_chart(any, "ROC of any", false), precision_chart(any, "Precision and recall of any", false),
          reliability_chart(any)})
        out += "<figure>" + draw(chart) + "</figure>\n";
    out += "</div>\n<h3>Any hemorrhage at the operating point</h3>\n<div class=\"pair\">\n" +
           confusion_table(at + "/findings/any/candidate", "Candidate", any.candidate) +
           confusion_table(at + "/findings/any/champion", "Champion", any.champion) + "</div>\n" +
           figures_table(set);
    out += "<h3>ROC by finding</h3>\n<div class=\"small\">\n";
    for (std::size_t k = 1; k < ml::kLabelCount; ++k)
        out +=
            "<figure>" + draw(roc_chart(set.findings[k], std::string(ml::kLabels[k]), true)) + "</figure>\n";
    out += "</div>\n<h3>Precision and recall by finding</h3>\n<div class=\"small\">\n";
    for (std::size_t k = 1; k < ml::kLabelCount; ++k)
        out += "<figure>" + draw(precision_chart(set.findings[k], std::string(ml::kLabels[k]), true)) +
               "</figure>\n";
    return out + "</div>\n";
}

std::string subgroup_section(const SetNumbers& set) {
    if (set.subgroups.empty()) return "";
    std::string out = fmt::format(
        "<h3>Subgroups of the {} studies: AUROC of any</h3>\n<table>\n<thead><tr><th>group</th><th></th><th "
        "class=\"n\">studies</th><th class=\"n\">positive</th><th class=\"n\">candidate</th><th "
        "class=\"n\">champion</th><th class=\"n\">difference</th></tr></thead>\n<tbody>\n",
        set.name);
    const std::size_t shown = std::min(set.subgroups.size(), kMostGroups);
    for (std::size_t i = 0; i < shown; ++i) {
        const SubgroupNumbers& g = set.subgroups[i];
        const std::string at = fmt::format("/sets/{}/subgroups/{}", set.name, i);
        out += fmt::format(
            "<tr><th>{}</th><td class=\"any\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
            "class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            escaped(g.key), escaped(g.value), keyed(at + "/studies", g.studies),
            keyed(at + "/positives", g.positives), keyed(at + "/candidate", g.candidate),
            keyed(at + "/champion", g.champion), signed_text(g.candidate - g.champion));
    }
    out += "</tbody>\n</table>\n";
    if (shown < set.subgroups.size())
        out += fmt::format("<p class=\"muted\">{} more groups stand in the numbers (JSON).</p>\n",
                           set.subgroups.size() - shown);
    return out;
}

std::string checks_section(const Verdict& verdict) {
    std::string out = "<h2>Every check of the gate</h2>\n";
    if (verdict.checks.empty()) return out + "<p>No check was made.</p>\n";
    out +=
        "<div class=\"scroll\"><table class=\"checks\">\n<thead><tr><th>check</th><th>set</th><th>of</th><th "
        "class=\"n\">value</th><th class=\"n\">from</th><th class=\"n\">to</th><th class=\"n\">limit</th><th "
        "class=\"n\">studies</th><th>outcome</th></tr></thead>\n<tbody>\n";
    for (std::size_t i = 0; i < verdict.checks.size(); ++i) {
        const GateCheck& c = verdict.checks[i];
        const std::string at = fmt::format("/verdict/checks/{}", i);
        out += fmt::format(
            "<tr class=\"top\"><th>{}</th><td>{}</td><td class=\"any\">{}</td>{}<td "
            "class=\"n\">{}</td><td>{}</td></tr>\n<tr><td class=\"say\" colspan=\"9\">{}</td></tr>\n",
            escaped(c.name), escaped(c.set), escaped(c.group.empty() ? c.finding : c.group),
            number_cells(c, at), c.name == "latency" ? "\u2013" : keyed(at + "/n", c.n), outcome(c),
            escaped(c.text));
    }
    return out + "</tbody>\n</table></div>\n";
}

}  // namespace scopenode::workflows
