#include "ml/preset.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

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

TEST_CASE("the eleven systems of the paper have its parameters to the integer") {
    const std::pair<const char*, long> expected[] = {
        {"scopeformer_s", 34'236'930},
        {"scopeformer_b", 42'300'934},
        {"scopeformer_m", 50'697'734},
        {"scopeformer_l4", 51'497'990},
        {"scopeformer_l8", 101'870'598},
        {"scopeformer_l16", 202'615'814},
        {"deep_scopeformer_l8", 101'873'030},
        {"deep_scopeformer_tr_l8", 6'359'110},
        {"efficient_scopeformer", 6'356'742},
        {"scopeformer_2021", 689'402'886},
        {"scaled_scopeformer_2021", 822'620'166},
    };
    for (const auto& [name, parameters] : expected) {
        CAPTURE(name);
        const auto preset = find_preset(name);
        REQUIRE(preset);
        CHECK(paper_parameters(*preset) == parameters);
    }
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

TEST_CASE("windows by name are the explicit list that is kept") {
    const auto preset = find_preset("scopeformer_nano");
    REQUIRE(preset);
    const auto fallback = parse_windows("default"), literal = parse_windows("paper_literal");
    REQUIRE(fallback);
    REQUIRE(literal);
    CHECK(*fallback == std::vector<Window>{{40, 80}, {80, 200}, {40, 380}});
    CHECK(*literal == std::vector<Window>{{40, 80}, {80, 200}, {80, 200}});
    for (const std::string& name : preset_names()) CHECK(find_preset(name)->windows == *fallback);
    const std::string text = preset_json(*preset);
    const auto begin = text.find("\"windows\": "), end = text.find("],", begin) + 1;
    const auto named = [&](const std::string& name) {
        return parse_preset(text.substr(0, begin) + "\"windows\": \"" + name + "\"" + text.substr(end));
    };
    const auto chosen = named("paper_literal");
    REQUIRE_MESSAGE(chosen, (chosen ? "" : chosen.error().message));
    CHECK(chosen->windows == *literal);
    CHECK(preset_json(*chosen).find("paper_literal") == std::string::npos);
    CHECK(parse_preset(preset_json(*chosen))->windows == *literal);
    const auto unknown = named("bone");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().message.find("default, paper_literal") != std::string::npos);
    const auto explicitly = parse_windows("40/80,-20.5/200,600/2800");
    REQUIRE(explicitly);
    CHECK(*explicitly == std::vector<Window>{{40, 80}, {-20.5, 200}, {600, 2800}});
}

TEST_CASE("faulty windows are refused by their channel") {
    const std::pair<const char*, const char*> faults[] = {
        {"bone", "there are default, paper_literal"},
        {"", "no set of windows"},
        {"40/80,80/200", "2 windows"},
        {"40/80,80/200,40/380,600/2800", "4 windows"},
        {"40/80,80,40/380", "window 2 '80' is not LEVEL/WIDTH"},
        {"40/80,default", "window 2 'default'"},
        {"40/80,80/0,40/380", "window 2 '80/0': its width"},
        {"40/80,80/200,nan/380", "window 3 'nan/380': its level"},
        {"40/80,80/200,9000/380", "window 3 '9000/380': its level"},
        {"40/80x,80/200,40/380", "window 1 '40/80x': its width"},
        {"40/80,80/200,", "window 3 '' is not"},
    };
    for (const auto& [text, words] : faults) {
        CAPTURE(text);
        const auto refused = parse_windows(text);
        REQUIRE_FALSE(refused);
        CHECK_MESSAGE(refused.error().message.find(words) != std::string::npos, refused.error().message);
        CHECK(refused.error().code == Code::kInvalidArgument);
    }
}
