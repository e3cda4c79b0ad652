#include "ml/paired_auc.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "base/core/files.h"
#include "ml/curves.h"
#include "ml/metrics.h"

using namespace scopenode;
using namespace scopenode::ml;
using nlohmann::json;

namespace {

/// Scores of which the second tell more, with ties where `steps` > 0; up to `most` studies a patient, alike.
PairedScores random_scores(unsigned seed, int patients, int most, int steps) {
    std::mt19937 draw(seed);
    const auto unit = [&draw] { return static_cast<double>(draw()) / 4294967296.0; };
    PairedScores out;
    for (int p = 0; p < patients; ++p) {
        const int studies = 1 + static_cast<int>(unit() * most);
        const double own = unit();
        for (int i = 0; i < studies; ++i) {
            const bool positive = unit() < 0.4;
            const double first = 0.5 * own + 0.5 * unit() + (positive ? 0.2 : 0);
            const double second = 0.6 * first + 0.4 * unit() + (positive ? 0.2 : 0);
            const auto tied = [&](double x) { return steps > 0 ? std::round(x * steps) / steps : x; };
            out.first.push_back(tied(first));
            out.second.push_back(tied(second));
            out.truth.push_back(positive ? 1 : 0);
            out.patient.push_back(static_cast<std::uint32_t>(p));
        }
    }
    return out;
}

void check_points(const std::vector<CurvePoint>& ours, const json& theirs) {
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
        CHECK(std::abs(ours[i].x - theirs[i][0].get<double>()) < 1e-12);
        CHECK(std::abs(ours[i].y - theirs[i][1].get<double>()) < 1e-12);
    }
}

}  // namespace

TEST_CASE("curves and paired areas and their errors agree with numpy") {
    const std::string python = "/usr/bin/python3";
    if (std::system((python + " -c 'import numpy' 2>/dev/null").c_str()) != 0) {
        MESSAGE("no numpy: skipped");
        return;
    }
    const std::vector<PairedScores> cases{random_scores(1, 80, 1, 0), random_scores(2, 60, 1, 6),
                                          random_scores(3, 50, 4, 0), random_scores(4, 40, 3, 8)};
    json written = json::array();
    for (const auto& s : cases)
        written.push_back({{"first", s.first},
                           {"second", s.second},
                           {"truth", std::vector<int>(s.truth.begin(), s.truth.end())},
                           {"patient", s.patient}});
    const TemporaryFolder folder;
    const auto in = folder.path() / "cases.json", out = folder.path() / "figures.json";
    REQUIRE(write_file(real_files(), in, written.dump()));
    REQUIRE(std::system((python + " " SCOPENODE_SOURCE_DIR "/tests/unit/ml/curves_reference.py " +
                         in.string() + " " + out.string())
                            .c_str()) == 0);
    const auto text = read_file(out);
    REQUIRE(text);
    const json expected = json::parse(*text);
    REQUIRE(expected.size() == cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
        CAPTURE(i);
        const json& theirs = expected[i];
        const auto d = auc_difference(cases[i], 3000, 5);
        check_points(roc_curve(cases[i].first, cases[i].truth), theirs["roc"]);
        check_points(precision_recall_curve(cases[i].first, cases[i].truth), theirs["pr"]);
        for (const auto& [name, ours] :
             std::vector<std::pair<std::string, double>>{{"first", d.first},
                                                         {"second", d.second},
                                                         {"difference", d.difference},
                                                         {"first_error", d.first_error},
                                                         {"second_error", d.second_error},
                                                         {"delong_error", d.delong_error}})
            CHECK_MESSAGE(std::abs(ours - theirs[name].get<double>()) < 1e-12, name);
        // Two bootstraps of 3000 draws each: their errors differ by 1.3 % of themselves (one deviation, were
        // the differences normal).
        CHECK(d.bootstrap_error == doctest::Approx(theirs["bootstrap_error"].get<double>()).epsilon(0.1));
    }
}

TEST_CASE("quantiles of Student by hand and from tables") {
    CHECK(student_quantile(0.95, 1) == doctest::Approx(std::tan(0.45 * std::acos(-1.0))).epsilon(1e-10));
    CHECK(student_quantile(0.95, 2) == doctest::Approx(0.9 / std::sqrt(2 * 0.95 * 0.05)).epsilon(1e-10));
    CHECK(student_quantile(0.95, 10) == doctest::Approx(1.812461).epsilon(1e-6));
    CHECK(student_quantile(0.975, 30) == doctest::Approx(2.042272).epsilon(1e-6));
    CHECK(student_quantile(0.95, 1e9) == doctest::Approx(1.6448536).epsilon(1e-7));
    CHECK(student_quantile(0.95, 999999) == doctest::Approx(1.6448536).epsilon(1e-5));
    CHECK(student_quantile(0.05, 7) == doctest::Approx(-student_quantile(0.95, 7)));
    CHECK(student_quantile(0.5, 3) == 0);
    for (const double p : {0.0, 1.0, std::nan("")}) CHECK(std::isnan(student_quantile(p, 5)));
}

TEST_CASE("the paired difference flips with the models and is nothing for one model twice") {
    const auto s = random_scores(9, 70, 2, 0);
    PairedScores flipped = s, same = s;
    std::swap(flipped.first, flipped.second);
    same.second = same.first;
    const auto a = auc_difference(s, 300, 3), b = auc_difference(flipped, 300, 3),
               c = auc_difference(same, 300, 3);
    CHECK(a.first == auroc(s.first, s.truth));
    CHECK(a.second == auroc(s.second, s.truth));
    CHECK(a.difference == -b.difference);
    CHECK(a.bootstrap_error == doctest::Approx(b.bootstrap_error).epsilon(1e-12));
    CHECK(a.low(0.05) == doctest::Approx(-b.high(0.05)).epsilon(1e-12));
    CHECK(a.low(0.05) < a.difference);
    CHECK(a.low(0.01) < a.low(0.05));
    CHECK(a.low_beside_margin(0.05, 0.02) <= a.low(0.05));
    CHECK(c.difference == 0);
    CHECK(c.low(0.05) == 0);
    CHECK(c.correlation == doctest::Approx(1));
}

TEST_CASE("two perfect models on a small set are not shown to be alike") {
    PairedScores s;
    for (int i = 0; i < 24; ++i) {
        s.first.push_back(i);
        s.second.push_back(i);
        s.truth.push_back(i >= 16 ? 1 : 0);
        s.patient.push_back(static_cast<std::uint32_t>(i));
    }
    const auto d = auc_difference(s, 200, 1);
    CHECK(d.first == 1);
    CHECK(d.error() == 0);
    CHECK(d.low_beside_margin(0.05, 0.02) < -0.02);
    // Nor does a class of a single patient have an error.
    for (auto& p : s.patient)
        if (p >= 16) p = 16;
    CHECK(std::isnan(auc_difference(s, 200, 1).low(0.05)));
}

TEST_CASE("studies of one patient are resampled together") {
    // Each patient twice, with the same scores: as if it were there once. Taken for different patients the
    // same studies seem to tell more than they do.
    const auto once = random_scores(12, 60, 1, 0);
    PairedScores twice = once, apart = once;
    for (std::size_t i = 0; i < once.first.size(); ++i)
        for (PairedScores* s : {&twice, &apart}) {
            s->first.push_back(once.first[i]);
            s->second.push_back(once.second[i]);
            s->truth.push_back(once.truth[i]);
            s->patient.push_back(once.patient[i] + (s == &apart ? 60U : 0U));
        }
    const auto a = auc_difference(once, 2000, 4), b = auc_difference(twice, 2000, 4),
               c = auc_difference(apart, 2000, 4);
    CHECK(b.studies == 2 * a.studies);
    CHECK(b.patients == a.patients);
    CHECK(b.difference == doctest::Approx(a.difference));
    CHECK(b.bootstrap_error == doctest::Approx(a.bootstrap_error).epsilon(1e-9));
    CHECK(b.delong_error == doctest::Approx(a.delong_error).epsilon(1e-9));
    CHECK(c.bootstrap_error == doctest::Approx(a.bootstrap_error / std::sqrt(2.0)).epsilon(0.1));
    CHECK(c.delong_error == doctest::Approx(a.delong_error / std::sqrt(2.0)).epsilon(0.05));
}

TEST_CASE("what has no area has no difference and no bound") {
    PairedScores s = random_scores(3, 20, 1, 0);
    s.second[4] = std::nan("");
    const auto broken = auc_difference(s, 50, 1);
    CHECK(std::isnan(broken.difference));
    CHECK_FALSE(broken.low(0.05) > -1);
    CHECK_FALSE(broken.low_beside_margin(0.05, 0.5) > -1);
    CHECK_FALSE(broken.second_low(0.05) > -1);
    CHECK(broken.studies == 20);
    CHECK(std::isnan(auc_difference({}, 50, 1).difference));
    CHECK(std::isnan(auc_difference({{1, 2}, {1, 2}, {1, 1}, {0, 1}}, 50, 1).difference));
}

TEST_CASE("reliability bins hold every study once and keep equal probabilities together") {
    std::vector<double> p;
    std::vector<char> truth;
    for (int i = 0; i < 100; ++i) {
        p.push_back(i < 37 ? 0.2 : 0.3 + 0.005 * i);
        truth.push_back(i % 3 == 0 ? 1 : 0);
    }
    const auto bins = reliability(p, truth);
    long studies = 0, positives = 0;
    double before = -1, sum = 0;
    for (const auto& bin : bins) {
        CHECK(bin.mean > before);
        before = bin.mean;
        studies += bin.studies;
        positives += bin.positives;
        sum += bin.mean * double(bin.studies);
    }
    CHECK(bins.front().studies == 37);
    CHECK(bins.front().positives == 13);
    CHECK(bins.size() <= 10);
    CHECK(bins.size() >= 6);
    CHECK(studies == 100);
    CHECK(positives == 34);
    double whole = 0;
    for (const double one : p) whole += one;
    CHECK(sum == doctest::Approx(whole));
    CHECK(reliability(std::vector<double>{1.5}, std::vector<char>{1}).empty());
    CHECK(reliability({}, {}).empty());
}

TEST_CASE("the area under the steps of a precision recall curve is the average precision") {
    const auto s = random_scores(21, 120, 1, 12);
    double area = 0, recall = 0;
    for (const auto& point : precision_recall_curve(s.first, s.truth)) {
        area += (point.x - recall) * point.y;
        recall = point.x;
    }
    CHECK(area == doctest::Approx(auprc(s.first, s.truth)).epsilon(1e-12));
    CHECK(recall == 1);
    double under = 0;
    const auto roc = roc_curve(s.first, s.truth);
    for (std::size_t i = 1; i < roc.size(); ++i)
        under += (roc[i].x - roc[i - 1].x) * (roc[i].y + roc[i - 1].y) / 2;
    CHECK(under == doctest::Approx(auroc(s.first, s.truth)).epsilon(1e-12));
}
