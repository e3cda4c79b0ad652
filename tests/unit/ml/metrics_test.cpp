#include "ml/metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace scopenode::ml;

TEST_CASE("the area under the curve agrees with counting every pair") {
    const std::vector<double> scores{0.1, 0.4, 0.35, 0.8};
    const std::vector<char> truth{0, 0, 1, 1};
    CHECK(auroc(scores, truth) == doctest::Approx(0.75));
    std::vector<double> many;
    std::vector<char> labels;
    for (int i = 0; i < 60; ++i) {
        many.push_back(static_cast<double>((i * 37) % 13));  // with ties
        labels.push_back((i * 11) % 7 < 3 ? 1 : 0);
    }
    double won = 0, pairs = 0;
    for (std::size_t a = 0; a < many.size(); ++a)
        for (std::size_t b = 0; b < many.size(); ++b) {
            if (!labels[a] || labels[b]) continue;
            pairs += 1;
            won += many[a] > many[b] ? 1 : (many[a] == many[b] ? 0.5 : 0);
        }
    CHECK(auroc(many, labels) == doctest::Approx(won / pairs));
}

TEST_CASE("perfect and reversed and useless scores have areas of one and zero and a half") {
    const std::vector<char> truth{0, 0, 0, 1, 1};
    CHECK(auroc(std::vector<double>{1, 2, 3, 4, 5}, truth) == 1);
    CHECK(auroc(std::vector<double>{5, 4, 3, 2, 1}, truth) == 0);
    CHECK(auroc(std::vector<double>{7, 7, 7, 7, 7}, truth) == 0.5);
    CHECK(std::isnan(auroc(std::vector<double>{1, 2}, std::vector<char>{1, 1})));
    CHECK(std::isnan(auroc({}, {})));
}

TEST_CASE("log loss by hand and finite when certainty was wrong") {
    const std::vector<double> p{0.5, 0.5};
    const std::vector<char> truth{0, 1};
    CHECK(log_loss(p, truth) == doctest::Approx(std::log(2.0)));
    CHECK(log_loss(std::vector<double>{0.25, 0.75}, std::vector<char>{0, 1}) ==
          doctest::Approx(-std::log(0.75)));
    CHECK(log_loss(std::vector<double>{1, 0}, truth) == doctest::Approx(-std::log(1e-15)).epsilon(0.01));
    CHECK(log_loss(std::vector<double>{0, 1}, truth) == doctest::Approx(0));
}

TEST_CASE("average precision by hand with and without ties") {
    CHECK(auprc(std::vector<double>{4, 3, 2, 1}, std::vector<char>{1, 0, 1, 0}) ==
          doctest::Approx(0.5 + 0.5 * 2 / 3));
    CHECK(auprc(std::vector<double>{4, 4, 2, 1}, std::vector<char>{1, 0, 1, 0}) ==
          doctest::Approx(0.5 * 0.5 + 0.5 * 2 / 3));
    CHECK(auprc(std::vector<double>{1, 1, 1, 1}, std::vector<char>{1, 0, 0, 0}) == doctest::Approx(0.25));
    CHECK(auprc(std::vector<double>{2, 1}, std::vector<char>{1, 1}) == 1);
    CHECK(std::isnan(auprc(std::vector<double>{1, 2}, std::vector<char>{0, 0})));
}

TEST_CASE("Wilson intervals by hand") {
    const Share nine{9, 10}, none{0, 20}, all{20, 20};
    CHECK(nine.value() == doctest::Approx(0.9));
    CHECK(nine.low() == doctest::Approx(0.5958).epsilon(0.0005));
    CHECK(nine.high() == doctest::Approx(0.9821).epsilon(0.0005));
    CHECK(none.low() == 0);
    CHECK(none.high() == doctest::Approx(0.1611).epsilon(0.0005));
    CHECK(all.low() == doctest::Approx(1 - 0.1611).epsilon(0.0005));
    CHECK(all.high() == 1);
    for (const double nothing : {Share{}.value(), Share{}.low(), Share{}.high()}) CHECK(std::isnan(nothing));
}

TEST_CASE("calibration error and Brier score by hand") {
    const std::vector<double> p{0.25, 0.25, 0.25, 0.25};
    const std::vector<char> truth{1, 0, 0, 0};
    CHECK(calibration_error(p, truth) == doctest::Approx(0));
    CHECK(brier(p, truth) == doctest::Approx(0.1875));
    CHECK(calibration_error(std::vector<double>{0, 0, 0, 0}, truth) == doctest::Approx(0.25));
    CHECK(calibration_error(std::vector<double>{0.9, 0.1}, std::vector<char>{1, 0}) == doctest::Approx(0.1));
    CHECK(calibration_error(std::vector<double>{0.9, 0.1}, std::vector<char>{1, 0}, 1) == doctest::Approx(0));
    // The same whatever order equal probabilities come in.
    std::vector<double> tied;
    std::vector<char> first, last;
    for (int i = 0; i < 100; ++i) {
        tied.push_back(i < 37 ? 0.2 : 0.7);
        first.push_back(i % 37 < 9 ? 1 : 0);
        last.push_back(i % 37 >= 28 ? 1 : 0);
    }
    last[74] = last[99] = 0;
    first[74] = 0;
    for (int i = 74; i < 100; ++i) first[std::size_t(i)] = last[std::size_t(i)] = 0;
    CHECK(calibration_error(tied, first) == doctest::Approx(calibration_error(tied, last)).epsilon(1e-12));
}

TEST_CASE("a calibration line finds what was done to the logits") {
    std::vector<double> p;
    std::vector<char> truth;
    for (int logit = -4; logit <= 4; ++logit) {
        const double honest = 1 / (1 + std::exp(-double(logit)));
        const int ones = static_cast<int>(std::round(10000 * honest));
        for (int i = 0; i < 10000; ++i) {
            p.push_back(1 / (1 + std::exp(-(2.0 * logit + 1))));  // twice too sure and shifted
            truth.push_back(i < ones ? 1 : 0);
        }
    }
    const auto line = calibration_line(p, truth);
    CHECK(line.slope == doctest::Approx(0.5).epsilon(0.001));
    CHECK(line.intercept == doctest::Approx(-0.5).epsilon(0.001));
    const auto parted = calibration_line(std::vector<double>{0.1, 0.9}, std::vector<char>{0, 1});
    CHECK(std::isnan(parted.slope));
    const auto constant = calibration_line(std::vector<double>{0.5, 0.5, 0.5}, std::vector<char>{0, 1, 0});
    CHECK(std::isnan(constant.slope));
    const auto touching =
        calibration_line(std::vector<double>{0.1, 0.5, 0.5, 0.9}, std::vector<char>{0, 1, 0, 1});
    CHECK(std::isnan(touching.intercept));
}

TEST_CASE("no number is ever worth a good figure") {
    const double nan = std::nan("");
    const std::vector<double> p{0.9, nan, 0.1}, outside{0.9, 1.5, 0.1};
    const std::vector<char> truth{1, 1, 0};
    for (const double figure :
         {auroc(p, truth), auprc(p, truth), log_loss(p, truth), brier(p, truth), calibration_error(p, truth),
          calibration_line(p, truth).slope, log_loss(outside, truth), brier(outside, truth),
          calibration_error(outside, truth), log_loss({}, {}), brier({}, {}), calibration_error({}, {}),
          calibration_line({}, {}).slope})
        CHECK(std::isnan(figure));
    CHECK(confusion(p, truth, 0.5).sensitivity().hits == 1);
    CHECK(confusion(std::vector<double>{nan}, std::vector<char>{0}, 0.5).specificity().hits == 0);
    const auto figures = figures_of(std::vector<Probabilities>{{nan, 0, 0, 0, 0, 0}},
                                    std::vector<Truth>{{true, false, false, false, false, false}});
    CHECK(std::isnan(figures.weighted_log_loss));
    CHECK(figures.at_threshold[0].sensitivity().hits == 0);
    const auto nothing = figures_of({}, {});
    CHECK(std::isnan(nothing.weighted_log_loss));
    CHECK(std::isnan(nothing.weighted_accuracy));
    CHECK(std::isnan(baselines_of({}).constant_prevalence.mean_brier));
}

TEST_CASE("RSNA log loss by hand with all labels and with some unknown") {
    const Probabilities p{0.8, 0.1, 0.6, 0.5, 0.5, 0.5};
    const double any = -std::log(0.8), epidural = -std::log(0.9), other = -std::log(0.4), half = std::log(2);
    const Truth whole{true, false, false, false, true, true};
    const auto all = figures_of(std::vector{p}, std::vector{whole});
    CHECK(all.weighted_log_loss == doctest::Approx((2 * any + epidural + other + 3 * half) / 7));
    CHECK(all.paper_eq3 == doctest::Approx(any + epidural + other + 3 * half));
    CHECK(all.mean_log_loss == doctest::Approx(all.paper_eq3 / 6));
    // At 0.5: any and epidural right, intraparenchymal wrong, then one wrong and two right.
    CHECK(all.weighted_accuracy == doctest::Approx((2 + 1 + 0 + 0 + 1 + 1) / 7.0));
    CHECK(all.mean_accuracy == doctest::Approx(4 / 6.0));
    CHECK(all.recall().hits == 3);
    CHECK(all.recall().of == 3);
    const Truth part{true, std::nullopt, std::nullopt, std::nullopt, std::nullopt, true};
    const Truth unknown{};
    const auto some = figures_of(std::vector{p, p, p}, std::vector{whole, part, unknown});
    CHECK(some.weighted_log_loss == doctest::Approx((all.weighted_log_loss + (2 * any + half) / 3) / 2));
    CHECK(some.paper_eq3 == doctest::Approx((all.paper_eq3 + 3 * (any + half)) / 2));
}

TEST_CASE("the published counts of RSNA 2019 give the baselines that the paper has to be read beside") {
    constexpr std::size_t kImages = 752803;
    constexpr std::array<std::size_t, kLabelCount> kPositives{107933, 3145, 36118, 26205, 35675, 47166};
    std::vector<Truth> truth(kImages);
    for (std::size_t i = 0; i < kImages; ++i)
        for (std::size_t k = 0; k < kLabelCount; ++k) truth[i][k] = i < kPositives[k];
    const auto baselines = baselines_of(truth);
    CHECK(std::round(baselines.all_negative.weighted_accuracy * 10000) == 9309);
    CHECK(std::round(baselines.all_negative.mean_accuracy * 10000) == 9433);
    CHECK(std::round(baselines.constant_prevalence.weighted_log_loss * 10000) == 2311);
    CHECK(std::round(baselines.constant_prevalence.mean_log_loss * 10000) == 2011);
    CHECK(baselines.constant_prevalence.weighted_accuracy == baselines.all_negative.weighted_accuracy);
    CHECK(baselines.prevalence[1] == doctest::Approx(3145.0 / 752803));
    CHECK(baselines.all_negative.recall().hits == 0);
}
