#include <fmt/format.h>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "ml/json_depth.h"
#include "workflows/training/gate.h"

namespace scopenode::workflows {
namespace {

using nlohmann::ordered_json;

ordered_json number(double value) {
    return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

double number_of(const ordered_json& value) {
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

GateCheck check_of(const ordered_json& json) {
    GateCheck out;
    out.name = json.at("name");
    out.set = json.at("set");
    out.finding = json.at("finding");
    out.group = json.at("group");
    out.value = number_of(json.at("value"));
    out.low = number_of(json.at("low"));
    out.high = number_of(json.at("high"));
    out.limit = number_of(json.at("limit"));
    out.n = json.at("n");
    out.passed = json.at("passed");
    out.decisive = json.at("decisive");
    out.text = json.at("text");
    return out;
}

/// Every rule under its name, for writing and for reading.
template <class Rules, class Visit>
void each_rule(Rules& rules, const Visit& visit) {
    visit("level", rules.level);
    visit("resamples", rules.resamples);
    visit("seed", rules.seed);
    visit("fewest_studies", rules.fewest_studies);
    visit("fewest_of_class", rules.fewest_of_class);
    visit("any_margin", rules.any_margin);
    visit("class_margin", rules.class_margin);
    visit("fewest", rules.fewest);
    visit("fewest_to_show", rules.fewest_to_show);
    visit("threshold_drop", rules.threshold_drop);
    visit("fewest_at_threshold", rules.fewest_at_threshold);
    visit("ece_rise", rules.ece_rise);
    visit("log_loss_ratio", rules.log_loss_ratio);
    visit("fewest_for_ece", rules.fewest_for_ece);
    visit("subgroup_drop", rules.subgroup_drop);
    visit("subgroup_studies", rules.subgroup_studies);
    visit("fewest_in_subgroup", rules.fewest_in_subgroup);
    visit("latency_ratio", rules.latency_ratio);
}

ordered_json rules_json(const GateRules& rules) {
    ordered_json json;
    each_rule(rules, [&](const char* name, const auto& value) { json[name] = value; });
    return json;
}

/// Rules that a verdict of another version does not know keep their defaults.
GateRules rules_of(const ordered_json& json) {
    GateRules rules;
    each_rule(rules, [&](const char* name, auto& value) {
        if (json.contains(name)) json.at(name).get_to(value);
    });
    return rules;
}

std::string cell(const GateCheck& check, double value) {
    const bool counts = check.name == "usable studies" || check.name == "enough data";
    return std::isfinite(value) ? fmt::format("{:.{}f}", value, counts ? 0 : 3) : "-";
}

/// At most `width` characters, never half a character.
std::string shortened(const std::string& text, std::size_t width) {
    std::string out;
    std::size_t characters = 0;
    for (const char c : text) {
        const bool begins = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        if (begins && ++characters > width) return out + "~";
        // A line break or an escape in a name must not draw on somebody's terminal.
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
    return out;
}

std::string wrapped(const std::string& text, const std::string& first, std::size_t width) {
    std::string out = first, line = first;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        const std::string word = text.substr(at, end - at);
        if (line.size() + 1 + word.size() > width) {
            out += "\n    ";
            line = "    ";
        } else if (line != first && line != "    ") {
            out += ' ';
            line += ' ';
        }
        out += word;
        line += word;
        at = end + 1;
    }
    return out + "\n";
}

/// The end of the interval that the check asks about.
double decisive_end(const GateCheck& check) {
    return check.name == "no proven loss" ? check.high : check.low;
}

const char* outcome(const GateCheck& check) {
    if (!check.decisive) return "shown only";
    return check.passed ? "passed" : "NOT PASSED";
}

}  // namespace

std::string verdict_json(const Verdict& verdict) {
    ordered_json checks = ordered_json::array();
    for (const GateCheck& c : verdict.checks)
        checks.push_back({{"name", c.name},
                          {"set", c.set},
                          {"finding", c.finding},
                          {"group", c.group},
                          {"value", number(c.value)},
                          {"low", number(c.low)},
                          {"high", number(c.high)},
                          {"limit", number(c.limit)},
                          {"n", c.n},
                          {"passed", c.passed},
                          {"decisive", c.decisive},
                          {"text", c.text}});
    ordered_json out{{"passed", verdict.passed}, {"reasons", verdict.reasons}, {"checks", checks}};
    if (verdict.rules) out["rules"] = rules_json(*verdict.rules);
    // Names of groups come from files: what is no UTF-8 is replaced instead of thrown.
    return out.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

Result<Verdict> parse_verdict(const std::string& json) {
    if (ml::nests_too_deep(json)) return fail(Code::kCannotUnderstand, "no verdict: it nests too deep");
    return guard(Code::kCannotUnderstand, [&]() -> Result<Verdict> {
        const auto read = ordered_json::parse(json);
        Verdict out;
        out.passed = read.at("passed");
        out.reasons = read.at("reasons").get<std::vector<std::string>>();
        if (read.contains("rules")) out.rules = rules_of(read.at("rules"));
        bool all = !read.at("checks").empty();
        for (const auto& check : read.at("checks")) {
            out.checks.push_back(check_of(check));
            all = all && (out.checks.back().passed || !out.checks.back().decisive);
        }
        if (out.passed != all || out.passed != out.reasons.empty())
            return fail(Code::kCannotUnderstand, "the verdict says {} and its checks say otherwise",
                        out.passed ? "passed" : "not passed");
        return out;
    });
}

std::string verdict_table(const Verdict& verdict) {
    std::string out = fmt::format("  {:<17} {:<7} {:<16} {:<16} {:>6} {:>6} {:>6} {:>4}  {}\n", "check",
                                  "set", "finding", "group", "value", "bound", "limit", "n", "outcome");
    for (const GateCheck& c : verdict.checks)
        out += fmt::format("  {:<17} {:<7} {:<16} {:<16} {:>6} {:>6} {:>6} {:>4}  {}\n",
                           shortened(c.name, 17), c.set, c.finding, shortened(c.group, 15), cell(c, c.value),
                           cell(c, decisive_end(c)), cell(c, c.limit), c.n, outcome(c));
    out +=
        verdict.passed ? "\nThe candidate passed every deciding check.\n" : "\nThe candidate did NOT pass:\n";
    for (const std::string& reason : verdict.reasons) out += wrapped(reason, "  - ", 99);
    return out;
}

}  // namespace scopenode::workflows
