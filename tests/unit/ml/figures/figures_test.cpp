#include <doctest/doctest.h>
#include "tests/unit/ml/figures/planted.h"
TEST_CASE("scratch") {
    using namespace scopenode;
    const char* out = std::getenv("FIG_OUT");
    if (!out) return;
    const auto a = test::planted();
    std::filesystem::create_directories(std::string(out) + "/nano");
    REQUIRE(ml::write_figures(a.source(), std::string(out) + "/nano"));
    test::PlantedSize size; size.networks=4; size.heads=16; size.tokens=384; size.blocks=8; size.slice=512; size.class_token=true;
    auto b = test::planted(size);
    b.explanation.trained=false; b.explanation.demonstration=false; b.explanation.preset="efficient_scopeformer";
    std::filesystem::create_directories(std::string(out) + "/big");
    auto s=b.source(); s.model_name="efficient_scopeformer, random weights (seed 1)";
    REQUIRE(ml::write_figures(s, std::string(out) + "/big"));
}
