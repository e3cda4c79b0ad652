#include "ml/preset.h"

#include <cmath>
#include <functional>

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

/// What preset_figures says of a change to a good preset.
std::string refusal(const std::function<void(Preset&)>& change) {
    Preset preset = find_preset("scopeformer_nano").value();
    change(preset);
    const auto figures = preset_figures(preset);
    return figures ? "" : figures.error().message;
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
    struct Row {
        const char* name;
        long paper, trainable, stored;  // the last two: reference section 1.3, in millions with one digit
        double gmac;                    // section 6
    };
    for (const Row& row : {Row{"scopeformer_s", 34'236'930, 1036, 1613, 31.18},
                           Row{"scopeformer_b", 42'300'934, 1117, 1694, 31.70},
                           Row{"scopeformer_m", 50'697'734, 1201, 1778, 32.24},
                           Row{"scopeformer_l4", 51'497'990, 1219, 1796, 32.31},
                           Row{"scopeformer_l8", 101'870'598, 1723, 2300, 35.62},
                           Row{"scopeformer_l16", 202'615'814, 2730, 3307, 42.23},
                           Row{"deep_scopeformer_l8", 101'873'030, 1723, 2300, 35.63},
                           Row{"deep_scopeformer_tr_l8", 6'359'110, 685, 1149, 28.47},
                           Row{"efficient_scopeformer", 6'356'742, 685, 1149, 28.45},
                           Row{"scopeformer_2021", 689'402'886, 7581, 7583, 62.74},
                           Row{"scaled_scopeformer_2021", 822'620'166, 8711, 9145, 76.98}}) {
        CAPTURE(row.name);
        const auto preset = find_preset(row.name);
        REQUIRE(preset);
        const auto figures = preset_figures(*preset);
        REQUIRE(figures);
        CHECK(figures->paper_parameters == row.paper);
        CHECK(std::lround(double(figures->trainable_parameters) / 1e5) == row.trainable);
        CHECK(std::lround(double(figures->stored_parameters) / 1e5) == row.stored);
        CHECK(figures->gmac_per_slice == doctest::Approx(row.gmac).epsilon(0.001));
    }
}

TEST_CASE("The CNNs are counted as Keras counts them and learn above the boundaries of the reference") {
    struct Row {
        const char* name;
        long trainable, non_trainable, learns;  // reference sections 2.1 and 4.5
    };
    const auto figures = preset_figures(find_preset("scopeformer_s").value());
    REQUIRE(figures);
    REQUIRE(figures->backbones.size() == 4);
    std::size_t i = 0;
    for (const Row& row :
         {Row{"xception", 20'806'952, 54'528, 1002}, Row{"efficientnet_b5", 28'340'784, 172'743, 2296},
          Row{"resnet152v2", 58'187'904, 143'744, 2839}, Row{"densenet201", 18'092'928, 229'056, 698}}) {
        const auto& cnn = figures->backbones[i++];
        CHECK(cnn.name == row.name);
        CHECK(cnn.trainable == row.trainable);
        CHECK(cnn.non_trainable == row.non_trainable);
        CHECK(std::lround(double(cnn.learns) / 1e4) == row.learns);
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

TEST_CASE("An impossible preset is refused with every reason before a network is built") {
    CHECK(refusal([](Preset&) {}) == "");
    const auto names = [](const std::string& text, const char* part) {
        CAPTURE(text);
        return text.find(part) != std::string::npos;
    };
    CHECK(names(refusal([](Preset& p) { p.token_width = 65; }), "token width 65 does not fit"));
    CHECK(names(refusal([](Preset& p) { p.global_channels = 97; }), "97 global channels do not divide by 3"));
    CHECK(names(refusal([](Preset& p) { p.backbones[0].name = "vgg"; }), "no backbone is called 'vgg'"));
    CHECK(names(refusal([](Preset& p) { p.heads = 7; }), "7 heads do not divide the token width 64"));
    CHECK(names(refusal([](Preset& p) { p.input_size = 100; }), "input size 100"));
    CHECK(names(refusal([](Preset& p) { p.windows.clear(); }), "three windows"));
    CHECK(names(refusal([](Preset& p) { p.backbones.clear(); }), "no backbone"));
    CHECK(names(refusal([](Preset& p) { p.head_dim = 0; }), "head_dim"));
    const std::string both = refusal([](Preset& p) { p.heads = 7, p.global_channels = 97; });
    CHECK(names(both, "7 heads"));
    CHECK(names(both, "97 global"));
}

TEST_CASE("A file may leave out what follows from the rest") {
    const auto preset = parse_preset(R"({"name": "site", "windows": [{"level": 40, "width": 80},
        {"level": 80, "width": 200}, {"level": 40, "width": 380}],
        "backbones": [{"name": "xception"}, {"name": "xception", "width": 0.5}], "global_channels": 512,
        "tokens": "patches_cls", "token_width": 512, "heads": 16, "attention": "mhsa"})");
    REQUIRE(preset);
    CHECK(preset->head_dim == 32);
    CHECK(preset->backbones[0].training == BackboneTraining::kTop);
    CHECK(preset->backbones[1].training == BackboneTraining::kAll);
}

TEST_CASE("JSON that nests without end is refused before anything recurses") {
    for (const std::string open : {"[", "{\"a\":"}) {
        std::string deep = "{\"tokens\":";
        for (int i = 0; i < 200'000; ++i) deep += open;
        const auto preset = parse_preset(deep);
        REQUIRE_FALSE(preset);
        CHECK(preset.error().message == "the preset nests too deep");
    }
    CHECK_FALSE(parse_preset(R"({"tokens": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["})")
                    .error()
                    .message.ends_with("too deep"));
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
