#include "ml/figures/figures.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/core/files.h"
#include "ml/figures/draw.h"
#include "ml/safetensors.h"
#include "tests/unit/ml/figures/pixels.h"
#include "tests/unit/ml/figures/planted.h"

using namespace scopenode;
using namespace scopenode::ml;
using test::Planted;
using test::planted;

namespace {

bool overlap(const Rect& a, const Rect& b) {
    const double x = std::min(a.right(), b.right()) - std::max(a.x, b.x);
    const double y = std::min(a.bottom(), b.bottom()) - std::max(a.y, b.y);
    return x > 0.25 && y > 0.25;
}

void check_words(const Canvas& canvas) {
    const double width = canvas.pixel_width() / 2.0, height = canvas.pixel_height() / 2.0, margin = 12;
    const auto& all = canvas.words();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const Rect& box = all[i].box;
        CHECK_MESSAGE(box.x >= margin, all[i].words);
        CHECK_MESSAGE(box.y >= margin, all[i].words);
        CHECK_MESSAGE(box.right() <= width - margin, all[i].words);
        CHECK_MESSAGE(box.bottom() <= height - margin, all[i].words);
        for (std::size_t k = 0; k < i; ++k)
            CHECK_MESSAGE(!overlap(box, all[k].box), all[i].words << " | " << all[k].words);
    }
}

bool is_white_border(const test::Pixels& p, int thickness) {
    for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; ++x) {
            const bool is_inside =
                x >= thickness && y >= thickness && x < p.width - thickness && y < p.height - thickness;
            if (!is_inside && p.at(x, y) != test::Pixel{255, 255, 255}) return false;
        }
    return true;
}

void check_layout(const FigureSource& source) {
    const TemporaryFolder folder;
    REQUIRE(draw_figures(source, [&](Drawn&& drawn) -> Status {
        INFO(drawn.figure.file);
        check_words(drawn.page.canvas);
        const auto path = folder.path() / drawn.figure.file;
        SCOPENODE_TRY(drawn.page.canvas.save(path));
        const auto pixels = test::read_png(path);
        CHECK(pixels.width == drawn.page.canvas.pixel_width());
        CHECK(pixels.height == drawn.page.canvas.pixel_height());
        CHECK(is_white_border(pixels, 20));
        return {};
    }));
}

}  // namespace

TEST_CASE("Every figure is written with its numbers and stands on the page") {
    const Planted p = planted();
    const TemporaryFolder folder;
    const auto figures = write_figures(p.source(), folder.path());
    REQUIRE(figures);
    std::set<std::string> files;
    const std::string html = read_file(folder.path() / "index.html").value();
    for (const auto& figure : *figures) {
        files.insert(figure.file);
        CHECK(html.find("src=\"" + figure.file + "\"") != std::string::npos);
        CHECK(test::read_png(folder.path() / figure.file).width > 1000);
    }
    for (const char* file : {"block_similarity.png", "features_xception.png", "features_efficientnet_b5.png",
                             "features_resnet152v2.png", "attention_first.png", "attention_last.png",
                             "grad_cam.png", "grad_cam_any.png", "grad_cam_subdural.png", "ablation.png"})
        CHECK_MESSAGE(files.contains(file), file);
    CHECK(files.size() == 14);
    CHECK(html.find("Not for diagnosis.") != std::string::npos);
    CHECK(html.find("Demonstration model.") != std::string::npos);
}

TEST_CASE("Numbers of the figures can be read again") {
    const Planted p = planted();
    const TemporaryFolder folder;
    REQUIRE(write_figures(p.source(), folder.path()));
    const auto json = nlohmann::json::parse(read_file(folder.path() / "explain.json").value());
    CHECK(json["model"]["id"] == "0123456789ab");
    CHECK(json["probabilities"]["intraparenchymal"].get<float>() == p.explanation.scores[2]);
    CHECK(json["block_similarity"].size() == 2);
    CHECK(json["backbones"][1]["grad_cam"]["maps"]["any"][3][5].get<float>() == 0.02F);
    CHECK(json["attention"]["last"]["mixed"]["shape"] == nlohmann::json({4, 96, 96}));
    const std::string bytes = read_file(folder.path() / "explain.safetensors").value();
    const auto tensors = parse_safetensors(bytes, "explain.safetensors");
    REQUIRE(tensors);
    for (const auto& tensor : *tensors) {
        if (tensor.name != json["attention"]["first"]["softmax"]["tensor"]) continue;
        CHECK(tensor.shape == std::vector<std::int64_t>{4, 96, 96});
        float last = 0;
        std::copy_n(tensor.bytes.data() + tensor.bytes.size() - sizeof last, sizeof last,
                    reinterpret_cast<char*>(&last));
        CHECK(last == p.explanation.first.softmax.back().values.back());
    }
    CHECK(tensors->size() == 1 + 2 * 3 + 4);
}

TEST_CASE("No words of a figure touch one another or the edge") {
    check_layout(planted().source());
}

TEST_CASE("Figures of sixteen heads and four backbones with a class token have room for everything") {
    auto p = planted({4, 16, 96, 16, 64, true, true, 96});
    p.explanation.trained = p.explanation.demonstration = false;
    // Nothing is sure about these: as long as a name may be, and no UTF-8.
    auto source = p.source();
    source.slice_name = std::string(200, 'W') + "\xff\xfe\n";
    source.model_name =
        "A model with a very long name that somebody thought of on a long afternoon, fine-tuned "
        "again and again since, version 12";
    check_layout(source);
}

TEST_CASE("Figures of patch tokens and of odd numbers have room for everything") {
    auto p = planted({3, 12, 64, 4, 5, false, true, 96});
    p.explanation.token_meaning = "positions";
    p.explanation.backbones[0].name = "xception 2";
    p.explanation.scores.fill(std::nanf(""));
    p.explanation.backbones[1].ablation.fill(std::nan(""));
    p.explanation.backbones[2].ablation.fill(1e-9);
    p.explanation.backbones[0].features[0].values[3] = std::nanf("");
    p.explanation.backbones[0].grad_cam[0].values[3] = std::nanf("");
    p.explanation.block_similarity = {-0.7, 0.999, std::nan(""), 1};
    check_layout(p.source());
}

TEST_CASE("Random weights are named in every figure and on the page") {
    auto p = planted();
    p.explanation.trained = p.explanation.demonstration = false;
    REQUIRE(draw_figures(p.source(), [&](Drawn&& drawn) -> Status {
        std::string all;
        for (const auto& words : drawn.page.canvas.words()) all += words.words + " ";
        INFO(drawn.figure.file);
        CHECK(all.find("Not for diagnosis. Random weights: the figure shows the method, not a finding.") !=
              std::string::npos);
        CHECK(all.find("RANDOM WEIGHTS") != std::string::npos);
        CHECK(all.find("Demonstration model.") == std::string::npos);
        if (drawn.figure.file.starts_with("grad_cam"))
            CHECK(all.find("Heat map at 32-pixel resolution, not a segmentation.") != std::string::npos);
        return {};
    }));
    CHECK(gallery_html(p.source(), {}).find("Random weights") != std::string::npos);
}

TEST_CASE("An explanation that contradicts itself is refused and so is a folder that is not there") {
    const TemporaryFolder folder;
    const Planted good = planted();
    CHECK(write_figures(good.source(), folder.path() / "absent").error().code == Code::kIo);
    Planted p = good;
    p.explanation.backbones[0].grad_cam[2].values.pop_back();
    CHECK(write_figures(p.source(), folder.path()).error().code == Code::kInvalidArgument);
    p = good;
    p.explanation.tokens = 7;
    CHECK(write_figures(p.source(), folder.path()).error().code == Code::kInvalidArgument);
    p = good;
    p.slice.hu.pop_back();
    CHECK(write_figures(p.source(), folder.path()).error().code == Code::kInvalidArgument);
    CHECK(std::filesystem::is_empty(folder.path()));
}
