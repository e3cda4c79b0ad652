#include "ml/metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace scopenode::ml;

TEST_CASE("the area under the curve agrees with counting every pair") {
    const std::vector<float> scores{0.1F, 0.4F, 0.35F, 0.8F};
    const std::vector<char> truth{0, 0, 1, 1};
    CHECK(auroc(scores, truth) == doctest::Approx(0.75));
    std::vector<float> many;
    std::vector<char> labels;
    for (int i = 0; i < 60; ++i) {
        many.push_back(static_cast<float>((i * 37) % 13));  // with ties
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
    CHECK(auroc(std::vector<float>{1, 2, 3, 4, 5}, truth) == 1);
    CHECK(auroc(std::vector<float>{5, 4, 3, 2, 1}, truth) == 0);
    CHECK(auroc(std::vector<float>{7, 7, 7, 7, 7}, truth) == 0.5);
    CHECK(std::isnan(auroc(std::vector<float>{1, 2}, std::vector<char>{1, 1})));
    CHECK(std::isnan(auroc({}, {})));
}

TEST_CASE("log loss by hand and finite when certainty was wrong") {
    const std::vector<float> p{0.5F, 0.5F};
    const std::vector<char> truth{0, 1};
    CHECK(log_loss(p, truth) == doctest::Approx(std::log(2.0)));
    CHECK(log_loss(std::vector<float>{0.25F, 0.75F}, std::vector<char>{0, 1}) ==
          doctest::Approx(-std::log(0.75)));
    CHECK(log_loss(std::vector<float>{1, 0}, truth) == doctest::Approx(-std::log(1e-15)).epsilon(0.01));
    CHECK(log_loss(std::vector<float>{0, 1}, truth) == doctest::Approx(0));
}
