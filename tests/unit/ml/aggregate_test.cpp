#include "ml/aggregate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace scopenode::ml;

namespace {
Scores all(float p) {
    Scores s;
    s.fill(p);
    return s;
}
}  // namespace

TEST_CASE("one slice keeps its scores and none gives zeros") {
    CHECK(aggregate({}) == Scores{});
    const std::vector<PlacedScores> one{{12.5, {0.9F, 0.1F, 0.2F, 0.3F, 0.4F, 0.5F}}};
    const Scores study = aggregate(one);
    for (std::size_t k = 0; k < kLabelCount; ++k)
        CHECK(study[k] == doctest::Approx(one[0].scores[k]).epsilon(1e-4));
    CHECK_FALSE(aggregation_method().empty());
}

TEST_CASE("the order of the slices and where the table stands change nothing at all") {
    std::vector<PlacedScores> slices;
    for (int i = 0; i < 30; ++i)
        slices.push_back({i * 5.0, all(0.02F + 0.9F * static_cast<float>((i * 7) % 11) / 11)});
    slices.push_back({45, all(0.4F)});  // the same place twice
    const Scores forward = aggregate(slices);
    std::reverse(slices.begin(), slices.end());
    CHECK(aggregate(slices) == forward);
    std::rotate(slices.begin(), slices.begin() + 13, slices.end());
    CHECK(aggregate(slices) == forward);
    for (auto& s : slices) s.z_mm -= 256;
    const Scores moved = aggregate(slices);
    for (std::size_t k = 0; k < kLabelCount; ++k)
        CHECK(moved[k] == doctest::Approx(forward[k]).epsilon(1e-5));
}

TEST_CASE("neighbours temper a lone high slice and support each other and a far one has no say") {
    const auto stack = [](double spacing, int high) {
        std::vector<PlacedScores> slices;
        for (int i = 0; i < 9; ++i)
            slices.push_back({i * spacing, all(i >= 4 && i < 4 + high ? 0.95F : 0.05F)});
        return aggregate(slices)[0];
    };
    CHECK(stack(5, 1) < stack(5, 3));
    CHECK(stack(2, 1) < 0.5F);
    CHECK(stack(5, 1) > 0.5F);
    CHECK(stack(50, 1) == doctest::Approx(0.95).epsilon(1e-4));
}

TEST_CASE("the same slice sent twice counts like once and certain scores stay finite") {
    const std::vector<PlacedScores> once{{0, all(0.2F)}, {5, all(0.7F)}};
    std::vector<PlacedScores> twice = once;
    twice.insert(twice.end(), once.begin(), once.end());
    CHECK(aggregate(twice)[3] == doctest::Approx(aggregate(once)[3]).epsilon(1e-6));
    const std::vector<PlacedScores> certain{{0, all(1)}, {5, all(0)}};
    const Scores study = aggregate(certain);
    CHECK(std::isfinite(study[0]));
    CHECK(study[0] > 0.9F);
    CHECK(study[0] <= 1);
}
