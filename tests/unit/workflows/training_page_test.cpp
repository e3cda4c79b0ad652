#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/core/files.h"
#include "tests/unit/workflows/page_fixture.h"

using namespace scopenode;
using namespace scopenode::workflows;
using nlohmann::json;

namespace {

/// The text as a browser would show it, of the few entities that we write.
std::string unescaped(std::string text) {
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
        for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
            text.replace(at, from.size(), to);
    return text;
}

/// Every tag closed by its own, only entities that XML knows: by a stack, so that no tool is needed.
std::string fault_of_markup(const std::string& html) {
    std::vector<std::string> open;
    for (std::size_t at = html.find("<html"); at < html.size();) {
        if (html[at] == '&') {
            static const std::regex entity("&(lt|gt|amp|quot|#39);");
            if (!std::regex_search(html.begin() + static_cast<long>(at),
                                   html.begin() + static_cast<long>(std::min(at + 8, html.size())), entity,
                                   std::regex_constants::match_continuous))
                return "entity at " + html.substr(at, 20);
        }
        if (html[at] != '<') {
            ++at;
            continue;
        }
        const std::size_t end = html.find('>', at);
        if (end == std::string::npos) return "open tag";
        const std::string tag = html.substr(at + 1, end - at - 1),
                          name = tag.substr(0, tag.find_first_of(" /", 1));
        if (tag[0] == '/') {
            if (open.empty() || open.back() != tag.substr(1)) return "closes " + tag;
            open.pop_back();
        } else if (tag.back() != '/') {
            open.push_back(name);
        }
        at = end + 1;
    }
    return open.empty() ? "" : "left open " + open.back();
}

std::size_t count_of(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++count;
    return count;
}

/// Checks every number that says where it stands in the JSON; gives how many there are.
int check_keyed_numbers(const std::string& html, const json& numbers) {
    static const std::regex keyed("data-key=\"([^\"]+)\">([^<]*)<");
    int seen = 0;
    for (std::sregex_iterator at(html.begin(), html.end(), keyed), end; at != end; ++at, ++seen) {
        const std::string key = (*at)[1];
        std::string text = (*at)[2];
        CAPTURE(key);
        const json& value = numbers.at(json::json_pointer(key));
        if (value.is_null()) {
            CHECK(text == "\u2013");
            continue;
        }
        if (text.starts_with("\u2212")) text.replace(0, 3, "-");
        const std::size_t point = text.find('.');
        const double digits = point == std::string::npos ? 0 : static_cast<double>(text.size() - point - 1);
        CHECK(std::abs(std::stod(text) - value.get<double>()) <= 0.5000001 * std::pow(10, -digits));
    }
    return seen;
}

}  // namespace

TEST_CASE(
    "the page is one well-formed file without script or network and its numbers are those of the JSON") {
    for (const bool passes : {true, false}) {
        const auto page = test::sample_page(passes ? 5 : 6, passes ? 300 : 90, passes ? 0.08 : 0.02);
        REQUIRE(page.verdict.passed == passes);
        const std::string html = training_page(page);
        CHECK(fault_of_markup(html) == "");
        for (const char* outside : {"<script", "<link", "<img", "src=", "href=", "url(", "@import"})
            CHECK_MESSAGE(html.find(outside) == std::string::npos, outside);
        CHECK(count_of(html, "http") == count_of(html, "http://www.w3.org/"));
        const json numbers = json::parse(training_page_json(page));
        CHECK(check_keyed_numbers(html, numbers) > 300);
        CHECK(numbers["verdict"]["passed"] == passes);
        CHECK((html.find("did NOT pass") == std::string::npos) == passes);
        for (const auto& reason : page.verdict.reasons)
            CHECK(unescaped(html).find(reason) != std::string::npos);
        CHECK(html.find("NOT FOR PATIENTS") < html.find("<h1>"));
        // Two big plots of learning and three of any in each set, small ones for five findings.
        CHECK(count_of(html, "<svg") == 2 + 5 + 2 * (3 + 5 + 5));
    }
}

TEST_CASE("the JSON has the figures and the curves that the metrics give") {
    const auto page = test::sample_page(7, 80, 0.05);
    const json numbers = json::parse(training_page_json(page));
    for (const auto& [name, studies] :
         {std::pair("newest", &page.gate.newest), std::pair("golden", &page.gate.golden)})
        for (std::size_t k = 0; k < ml::kLabelCount; ++k) {
            std::vector<double> scores;
            std::vector<char> truth;
            for (const auto& study : *studies)
                if (study.truth[k]) {
                    scores.push_back(study.candidate[k]);
                    truth.push_back(*study.truth[k] ? 1 : 0);
                }
            const json& f = numbers["sets"][name]["findings"][std::string(ml::kLabels[k])];
            const json& candidate = f["candidate"];
            CHECK(candidate["auroc"].get<double>() == ml::auroc(scores, truth));
            CHECK(candidate["auprc"].get<double>() == ml::auprc(scores, truth));
            const auto counts = ml::confusion(scores, truth, page.gate.candidate_thresholds[k]);
            CHECK(candidate["true_positives"] == counts.true_positives);
            CHECK(candidate["false_positives"] == counts.false_positives);
            double area = 0;
            const json& roc = candidate["roc"];
            for (std::size_t i = 1; i < roc.size(); ++i)
                area += (roc[i][0].get<double>() - roc[i - 1][0].get<double>()) *
                        (roc[i][1].get<double>() + roc[i - 1][1].get<double>()) / 2;
            CHECK(area == doctest::Approx(ml::auroc(scores, truth)).epsilon(1e-9));
            CHECK(f["positives"].get<long>() + f["negatives"].get<long>() + f["unknown"].get<long>() ==
                  static_cast<long>(studies->size()));
        }
    CHECK(numbers["epochs"].size() == 12);
    CHECK(numbers["epochs"][0]["validation_auroc"]["epidural"].is_null());
    CHECK(numbers["epochs"][3]["train_loss"].get<double>() == page.epochs[3].train_loss);
}

TEST_CASE("hostile names stay text") {
    auto page = test::sample_page(8, 40, 0.02);
    const std::string evil = "</td><script>alert('x')</script>\" onload=\"y & \xff\x01\xe2\x80\xae]]>";
    page.candidate = {evil, evil, evil};
    page.champion.name = page.job = page.asked_by = page.started = page.finished = evil;
    page.facts.emplace_back(evil, evil);
    page.notes.push_back(evil);
    page.left_out.push_back({evil, 1, evil});
    page.data[0].name = evil;
    for (auto& study : page.gate.newest) study.groups = {{evil, evil}, {"device", "a/b~c"}};
    page.verdict = judge_candidate(page.gate, {});
    page.verdict.reasons.push_back(evil);
    const std::string html = training_page(page);
    CHECK(fault_of_markup(html) == "");
    CHECK(html.find("<script") == std::string::npos);
    CHECK(html.find("onload=\"") == std::string::npos);
    CHECK(html.find('\xff') == std::string::npos);
    CHECK(html.find('\x01') == std::string::npos);
    CHECK(html.find("\xe2\x80\xae") == std::string::npos);
    CHECK(count_of(html, "&lt;script&gt;alert(&#39;x&#39;)") > 10);
    CHECK(check_keyed_numbers(html, json::parse(training_page_json(page))) > 300);
}

TEST_CASE("empty sets and missing figures do not break the page") {
    const TrainingPage nothing;
    const std::string html = training_page(nothing);
    CHECK(fault_of_markup(html) == "");
    CHECK(html.find("nan") == std::string::npos);
    CHECK(html.find("inf") == std::string::npos);
    for (const char* words :
         {"no epochs recorded", "one class is missing", "No check was made", "did NOT pass"})
        CHECK_MESSAGE(html.find(words) != std::string::npos, words);
    CHECK(html.find("NOT FOR PATIENTS") == std::string::npos);
    const json numbers = json::parse(training_page_json(nothing));
    check_keyed_numbers(html, numbers);
    CHECK(numbers["sets"]["golden"]["findings"]["any"]["candidate"]["auroc"].is_null());

    auto page = test::sample_page(9, 40, 0.02);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    page.epochs = {{3, nan, 0.2, {nan, nan, nan, nan, nan, nan}}};
    page.gate.golden.resize(1);
    page.gate.newest[0].candidate.fill(nan);
    page.gate.candidate_thresholds.fill(nan);
    page.gate.candidate_ms_per_slice = nan;
    page.verdict = judge_candidate(page.gate, {});
    const std::string broken = training_page(page);
    CHECK(fault_of_markup(broken) == "");
    CHECK(broken.find(">nan") == std::string::npos);
    CHECK(broken.find("\"nan") == std::string::npos);
    CHECK(broken.find("nan\"") == std::string::npos);
    check_keyed_numbers(broken, json::parse(training_page_json(page)));
}

TEST_CASE("every plotted curve goes through the points of the JSON") {
    const auto page = test::sample_page(10, 60, 0.05);
    const std::string html = training_page(page);
    const json numbers = json::parse(training_page_json(page));
    // The plot of the ROC of any on the newest studies: what its first and last points say of the scale has
    // to hold for all the others.
    const std::size_t begin = html.find("<title>ROC of any</title>");
    REQUIRE(begin != std::string::npos);
    const std::string plot = html.substr(begin, html.find("</svg>", begin) - begin);
    static const std::regex path("<path d=\"M([^\"h]+)\"");
    std::vector<std::vector<std::pair<double, double>>> drawn;
    for (std::sregex_iterator at(plot.begin(), plot.end(), path), end; at != end; ++at) {
        std::istringstream points((*at)[1].str());
        drawn.emplace_back();
        for (double x = 0, y = 0; points >> x >> y; points.get()) drawn.back().emplace_back(x, y);
    }
    REQUIRE(drawn.size() == 2);
    const char* models[] = {"candidate", "champion"};
    for (std::size_t m = 0; m < 2; ++m) {
        const json& roc = numbers["sets"]["newest"]["findings"]["any"][models[m]]["roc"];
        REQUIRE(drawn[m].size() == roc.size());
        const auto [x0, y0] = drawn[m].front();
        const auto [x1, y1] = drawn[m].back();
        CHECK(x1 > x0 + 100);
        CHECK(y1 < y0 - 100);
        for (std::size_t i = 0; i < roc.size(); ++i) {
            CHECK(std::abs(x0 + (x1 - x0) * roc[i][0].get<double>() - drawn[m][i].first) < 0.11);
            CHECK(std::abs(y0 + (y1 - y0) * roc[i][1].get<double>() - drawn[m][i].second) < 0.11);
        }
    }
}
