#include "ml/preset.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

Preset with_four_backbones(int width, int heads, int mlp, int blocks, Attention attention) {
    Preset preset;
    preset.windows = {{40, 80}, {80, 200}, {40, 380}};
    for (const char* name : {"xception", "efficientnet_b5", "resnet152v2", "densenet201"})
        preset.backbones.push_back({name, 1, 1});
    preset.tokens = Tokens::kPatchesCls;
    preset.global_channels = preset.token_width = width;
    preset.heads = heads;
    preset.head_dim = width / heads;
    preset.mlp_width = mlp;
    preset.blocks = blocks;
    preset.attention = attention;
    return preset;
}

long paper_parameters(const Preset& preset) {
    const auto figures = preset_figures(preset);
    REQUIRE(figures);
    return figures->paper_parameters;
}

}  // namespace

TEST_CASE("efficient_scopeformer has the paper's parameters and cost to the integer") {
    const auto preset = find_preset("efficient_scopeformer");
    REQUIRE(preset);
    const auto figures = preset_figures(*preset);
    REQUIRE(figures);
    CHECK(figures->paper_parameters == 6'356'742);
    CHECK(figures->trainable_parameters == 68'512'142);
    CHECK(figures->stored_parameters == 114'850'462);
    CHECK(figures->gmac_per_slice == doctest::Approx(28.45).epsilon(0.01));
    CHECK(figures->input_shape == std::vector<long>{1, 3, 256, 256});
    CHECK(figures->token_shape == std::vector<long>{384, 64});
}

TEST_CASE("The other configurations have the paper's parameters too") {
    CHECK(paper_parameters(with_four_backbones(516, 12, 3072, 8, Attention::kMhsa)) == 34'236'930);
    CHECK(paper_parameters(with_four_backbones(512, 16, 4096, 8, Attention::kMhsa)) == 42'300'934);
    CHECK(paper_parameters(with_four_backbones(1024, 16, 4096, 4, Attention::kMhsa)) == 51'497'990);
    CHECK(paper_parameters(with_four_backbones(1024, 16, 4096, 8, Attention::kMhra)) == 101'873'030);
    auto token_reduced = find_preset("efficient_scopeformer");
    REQUIRE(token_reduced);
    token_reduced->tokens = Tokens::kChannelsCls;
    CHECK(paper_parameters(*token_reduced) == 6'359'110);
}

TEST_CASE("scopeformer_nano keeps inside its limits") {
    const auto preset = find_preset("scopeformer_nano");
    REQUIRE(preset);
    const auto figures = preset_figures(*preset);
    REQUIRE(figures);
    CHECK(figures->stored_parameters <= 2'000'000);
    CHECK(figures->trainable_parameters < figures->stored_parameters);
    CHECK(figures->gmac_per_slice <= 0.3);
}

TEST_CASE("A preset survives its JSON form and every fault of one is named") {
    for (const std::string& name : preset_names()) {
        const auto preset = find_preset(name);
        REQUIRE(preset);
        CHECK(preset->name == name);
        const auto again = parse_preset(preset_json(*preset));
        REQUIRE(again);
        CHECK(preset_json(*again) == preset_json(*preset));
        CHECK(again->windows == preset->windows);
    }
    const auto faulty =
        parse_preset(R"({"name": "x", "windows": [], "heads": 0, "hat": 1, "attention": "none",
                                         "backbones": [{"name": "vgg"}]})");
    REQUIRE_FALSE(faulty);
    for (const char* part : {"windows", "heads", "hat", "attention", "vgg"})
        CHECK(faulty.error().message.find(part) != std::string::npos);
    CHECK_FALSE(parse_preset("{"));
    const auto unknown = find_preset("scopeformer_huge");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == Code::kNotFound);
    CHECK(unknown.error().message.find("scopeformer_nano") != std::string::npos);
}

TEST_CASE("An impossible preset is refused before a network is built") {
    auto preset = find_preset("scopeformer_nano");
    REQUIRE(preset);
    preset->token_width = 65;
    CHECK_FALSE(preset_figures(*preset));
    preset->token_width = 64;
    preset->global_channels = 97;
    CHECK_FALSE(preset_figures(*preset));
    preset->global_channels = 96;
    preset->backbones[0].name = "vgg";
    CHECK_FALSE(preset_figures(*preset));
}
