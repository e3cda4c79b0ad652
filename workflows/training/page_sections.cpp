#include "workflows/training/page_sections.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "workflows/training/page_charts.h"
#include "workflows/training/page_markup.h"

namespace scopenode::workflows {
namespace {

std::string model_words(const PageModel& model) {
    std::string out = fmt::format("<span class=\"any\">{}</span> <code>{}</code>",
                                  model.name.empty() ? "(no name)" : escaped(model.name), escaped(model.id));
    if (!model.note.empty()) out += "<br/><span class=\"muted\">" + escaped(model.note) + "</span>";
    return out;
}

std::string tile(const std::string& question, const std::string& number, const std::string& words) {
    return fmt::format("<div class=\"tile\"><span class=\"q\">{}</span><b>{}</b>{}</div>\n",
                       escaped(question), number, words);
}

/// The tile of a check, when the verdict has it.
std::string check_tile(const Verdict& verdict, const char* name, const char* set, const char* question) {
    for (std::size_t i = 0; i < verdict.checks.size(); ++i) {
        const GateCheck& c = verdict.checks[i];
        if (c.name != name || c.set != set || c.finding != "any") continue;
        const std::string at = fmt::format("/verdict/checks/{}", i);
        const std::string value =
            fmt::format("<span data-key=\"{}/value\">{}</span>", at, signed_text(c.value));
        return tile(
            question, value,
            fmt::format(
                "AUROC of any, candidate minus champion; interval from <span "
                "data-key=\"{0}/low\">{1}</span>, must be above <span data-key=\"{0}/limit\">{2}</span>: "
                "<strong>{3}</strong>",
                at, signed_text(c.low), plain_text(c.limit, 2), c.passed ? "\u2713 yes" : "\u2717 no"));
    }
    return "";
}

std::string row(const std::string& what, const std::string& value) {
    return fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", what, value);
}

Chart epoch_chart(const TrainingPage& page, std::string title, std::string words) {
    Chart chart;
    chart.title = std::move(title);
    chart.x_words = "epoch";
    chart.y_words = std::move(words);
    chart.whole_x = true;
    chart.x_low = page.epochs.empty() ? 0 : page.epochs.front().epoch;
    chart.x_high = page.epochs.empty() ? 1 : page.epochs.back().epoch;
    if (!(chart.x_high > chart.x_low)) {
        chart.x_low -= 1;
        chart.x_high += 1;
    }
    chart.nothing = "no epochs recorded";
    if (page.kept_epoch >= chart.x_low && page.kept_epoch <= chart.x_high) {
        chart.upright = page.kept_epoch;
        chart.upright_words = "kept";
    }
    return chart;
}

/// Ends at ticks around all values; from zero for a loss.
void fit_upright(Chart& chart, bool from_zero, double highest_allowed) {
    double low = 1e300, high = -1e300;
    for (const ChartLine& line : chart.lines)
        for (const auto& point : line.points) {
            if (!std::isfinite(point.y)) continue;
            low = std::min(low, point.y);
            high = std::max(high, point.y);
        }
    if (low > high) return;
    if (from_zero) low = 0;
    const double step = tick_step(std::max(high - low, 1e-3), chart.small ? 3 : 6);
    chart.y_low = std::floor(low / step + 1e-9) * step;
    chart.y_high = std::min(std::ceil(high / step - 1e-9) * step, highest_allowed);
    if (!(chart.y_high > chart.y_low)) chart.y_low = chart.y_high - step;
    chart.y_step = step;
}

Chart loss_chart(const TrainingPage& page) {
    Chart chart = epoch_chart(page, "Loss over the epochs", "loss");
    ChartLine train{LineStyle::kChampion, "training studies", {}, false, true, {}};
    ChartLine validation{LineStyle::kCandidate, "validation studies", {}, false, true, {}};
    for (const PageEpoch& e : page.epochs) {
        train.points.push_back({static_cast<double>(e.epoch), e.train_loss});
        validation.points.push_back({static_cast<double>(e.epoch), e.validation_loss});
    }
    chart.lines = {validation, train};
    fit_upright(chart, true, 1e300);
    return chart;
}

Chart area_chart(const TrainingPage& page, std::size_t label) {
    const std::string name(ml::kLabels[label]);
    Chart chart = epoch_chart(page, label == 0 ? "Validation AUROC of any" : name, label == 0 ? "AUROC" : "");
    chart.small = label != 0;
    ChartLine line{LineStyle::kCandidate, "", {}, false, true, {}};
    double last = std::nan("");
    for (const PageEpoch& e : page.epochs) {
        line.points.push_back({static_cast<double>(e.epoch), e.auroc[label]});
        if (e.epoch == page.kept_epoch || page.kept_epoch < 0) last = e.auroc[label];
    }
    line.words = fmt::format("{} {}", page.kept_epoch < 0 ? "last" : "kept", plain_text(last));
    chart.lines = {line};
    fit_upright(chart, false, 1);
    return chart;
}

/// A row of one number for each set.
std::string size_row(const TrainingPage& page, const char* what, long PageCounts::*size) {
    std::string out = fmt::format("<tr><th>{}</th>", what);
    for (std::size_t i = 0; i < page.data.size(); ++i)
        out += fmt::format("<td class=\"n\">{}</td>",
                           keyed(fmt::format("/data/{}/{}", i, what), page.data[i].*size));
    return out + "</tr>\n";
}

std::string label_row(const TrainingPage& page, std::size_t k) {
    const std::string label(ml::kLabels[k]);
    std::string out = fmt::format("<tr><th>with {}</th>", k == 0 ? "any hemorrhage" : label);
    for (std::size_t i = 0; i < page.data.size(); ++i) {
        const PageCounts& set = page.data[i];
        const std::string at = fmt::format("/data/{}", i);
        const long known = set.positives[k] + set.negatives[k];
        const double percent = 100 * static_cast<double>(set.positives[k]) / static_cast<double>(known);
        out +=
            fmt::format("<td class=\"n\">{} of {} ({} %)",
                        keyed(at + "/positives/" + label, set.positives[k]), known, plain_text(percent, 0));
        if (set.unknown[k] > 0)
            out += fmt::format(" <span class=\"muted\">{} unknown</span>",
                               keyed(at + "/unknown/" + label, set.unknown[k]));
        out += "</td>";
    }
    return out + "</tr>\n";
}

std::string counts_table(const TrainingPage& page) {
    if (page.data.empty()) return "<p>No counts were recorded.</p>\n";
    std::string out = "<div class=\"scroll\"><table>\n<thead><tr><th></th>";
    for (const PageCounts& set : page.data) out += "<th class=\"n\">" + escaped(set.name) + "</th>";
    out += "</tr></thead>\n<tbody>\n" + size_row(page, "patients", &PageCounts::patients) +
           size_row(page, "studies", &PageCounts::studies) + size_row(page, "slices", &PageCounts::slices);
    for (std::size_t k = 0; k < ml::kLabelCount; ++k) out += label_row(page, k);
    return out +
           "</tbody>\n</table></div>\n<p class=\"muted\">Studies with the finding, of those where it is "
           "known.</p>\n";
}

}  // namespace

std::string head_section(const TrainingPage& page) {
    std::string out;
    if (page.demonstration)
        out +=
            "<p class=\"warning\">NOT FOR PATIENTS. Demonstration: one of these models was trained on "
            "synthetic or "
            "demonstration data. Nothing on this page says how it would do on patients.</p>\n";
    out += fmt::format(
        "<h1>May this candidate replace the champion?</h1>\n<p class=\"muted\">Retraining job "
        "<strong>{}</strong>{}{}{} \u00b7 intracranial hemorrhage on head CT, figures per study</p>\n",
        escaped(page.job), page.asked_by.empty() ? "" : ", asked for by " + escaped(page.asked_by),
        page.started.empty() ? "" : ", started " + escaped(page.started),
        page.finished.empty() ? "" : ", finished " + escaped(page.finished));
    return out;
}

std::string verdict_section(const TrainingPage& page) {
    const Verdict& v = page.verdict;
    std::string out = fmt::format(
        "<div class=\"verdict{}\">\n<p class=\"answer\">{}</p>\n<p>{}</p>\n<div class=\"tiles\">\n",
        v.passed ? "" : " no",
        v.passed ? "\u2713 The candidate passed every deciding check."
                 : "\u2717 The candidate did NOT pass. The champion stays.",
        v.passed
            ? "It does not serve yet: it runs in the shadow of the champion until a named person approves it."
            : "It cannot be approved.");
    out += check_tile(v, "superiority", "newest", "Better on the newest studies?");
    out += check_tile(v, "non-inferiority", "golden", "Nothing forgotten on the golden studies?");
    const auto deciding =
        std::count_if(v.checks.begin(), v.checks.end(), [](const auto& c) { return c.decisive; });
    const auto passed =
        std::count_if(v.checks.begin(), v.checks.end(), [](const auto& c) { return c.decisive && c.passed; });
    out += tile("All deciding checks", fmt::format("{} of {}", passed, deciding),
                fmt::format("passed; {} more do not decide and are only shown",
                            static_cast<long>(v.checks.size()) - deciding));
    out += "</div>\n";
    if (!v.reasons.empty()) {
        out += "<p><strong>Why not</strong></p>\n<ul>\n";
        for (const auto& reason : v.reasons) out += "<li>" + escaped(reason) + "</li>\n";
        out += "</ul>\n";
    }
    return out + "</div>\n";
}

std::string facts_section(const TrainingPage& page) {
    std::string out = "<h2>The two models</h2>\n<table>\n<tbody>\n";
    out += row("Candidate", model_words(page.candidate)) + row("Champion", model_words(page.champion));
    out += row("Time for a slice",
               fmt::format("candidate {} ms, champion {} ms",
                           keyed("/ms_per_slice/candidate", page.gate.candidate_ms_per_slice, 2),
                           keyed("/ms_per_slice/champion", page.gate.champion_ms_per_slice, 2)));
    for (const auto& [what, value] : page.facts)
        out += row(escaped(what), "<span class=\"any\">" + escaped(value) + "</span>");
    return out + "</tbody>\n</table>\n";
}

std::string data_section(const TrainingPage& page) {
    std::string out = "<h2>The data</h2>\n" + counts_table(page) + "<h3>What was left out, and why</h3>\n";
    if (page.left_out.empty()) return out + "<p>Nothing.</p>\n";
    out += "<table>\n<thead><tr><th>what</th><th class=\"n\">count</th><th>why</th></tr></thead>\n<tbody>\n";
    for (std::size_t i = 0; i < page.left_out.size(); ++i) {
        const PageLeftOut& left = page.left_out[i];
        out += fmt::format("<tr><th>{}</th><td class=\"n\">{}</td><td>{}</td></tr>\n", escaped(left.what),
                           keyed(fmt::format("/left_out/{}/count", i), left.count), escaped(left.why));
    }
    return out + "</tbody>\n</table>\n";
}

std::string epochs_section(const TrainingPage& page) {
    std::string out = "<h2>How it learnt</h2>\n<div class=\"charts\">\n";
    out += "<figure>" + draw(loss_chart(page)) + "</figure>\n<figure>" + draw(area_chart(page, 0)) +
           "</figure>\n";
    out += "</div>\n<div class=\"small\">\n";
    for (std::size_t k = 1; k < ml::kLabelCount; ++k)
        out += "<figure>" + draw(area_chart(page, k)) + "</figure>\n";
    return out +
           "</div>\n<p class=\"muted\">Validation studies are neither learnt from nor part of the sets that "
           "the "
           "gate judges on.</p>\n";
}

std::string notes_section(const TrainingPage& page) {
    std::string out = "<h2>How to read this</h2>\n<ul>\n";
    for (const auto& note : page.notes) out += "<li>" + escaped(note) + "</li>\n";
    for (const char* note : {"Golden studies never change and show whether something was forgotten; newest "
                             "studies are recent ones that no "
                             "model learnt from. Both keep their patients apart from the training data.",
                             "Intervals are one-sided at 95 % unless the checks say otherwise, by patient: "
                             "all studies of a patient count "
                             "as one chance. Their width is the larger of a bootstrap's error and DeLong's, "
                             "with Student's quantile.",
                             "Wilson's intervals of sensitivity and specificity are two-sided at 95 %.",
                             "AUROC is the chance that a study with the finding is ranked above one without. "
                             "AUPRC has to be read beside "
                             "the share of positive studies (dotted line). ECE is the mean distance between "
                             "probability and truth.",
                             "Probabilities are calibrated study probabilities. Studies whose truth is "
                             "unknown do not count for that "
                             "finding and are never taken for negative.",
                             "Accuracy is not on this page: where few studies are positive, calling all of "
                             "them negative scores high."})
        out += fmt::format("<li>{}</li>\n", note);
    return out + "</ul>\n";
}

}  // namespace scopenode::workflows
