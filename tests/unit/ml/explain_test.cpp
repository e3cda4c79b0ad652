#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <cmath>

#include "base/core/ids.h"
#include "ml/explain.h"
#include "ml/torch/grad_cam.h"
#include "ml/torch/runtime.h"
#include "ml/torch/trainer_state.h"
#include "tests/unit/ml/nano_files.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

constexpr int kSize = 256, kCells = kSize / 32, kSquare = 48;

/// Brain-like noise; with a bright square at (x, y) when they are not negative.
HuImage picture(int x, int y) {
    HuImage image{kSize, kSize, std::vector<float>(std::size_t(kSize) * kSize)};
    const auto noise = torch::randn({kSize * kSize}) * 5 + 30;
    std::copy_n(noise.data_ptr<float>(), image.hu.size(), image.hu.begin());
    if (x >= 0)
        for (int row = y; row < y + kSquare; ++row)
            for (int column = x; column < x + kSquare; ++column)
                image.hu[std::size_t(row * kSize + column)] = 75;
    return image;
}

Preset small_preset() {
    Preset preset = find_preset("scopeformer_nano").value();
    preset.backbones = {preset.backbones[0], preset.backbones[2]};
    return preset;
}

int random_place() {
    return int(torch::randint(0, kSize - kSquare, {1}).item<std::int64_t>());
}

struct Batch {
    Tensor images, truth;
};
/// Every other picture with a square.
Batch squares(const Preset& preset) {
    constexpr int kBatch = 8;
    std::vector<Tensor> images;
    Batch batch{{}, torch::zeros({kBatch, std::int64_t(kLabelCount)})};
    for (int i = 0; i < kBatch; ++i) {
        images.push_back(
            resize_hu(i % 2 == 0 ? picture(random_place(), random_place()) : picture(-1, -1), kSize));
        if (i % 2 == 0) batch.truth[i].fill_(1);
    }
    batch.images = apply_windows(torch::stack(images), preset.windows);
    return batch;
}

/// Learns to tell pictures with a square from those without.
std::shared_ptr<Scopeformer> learn_squares(const Preset& preset) {
    auto network = make_scopeformer(preset).value();
    network->train();
    torch::optim::AdamW optimizer(network->parameters(), torch::optim::AdamWOptions(3e-3));
    for (int step = 0; step < 120; ++step) {
        const Batch batch = squares(preset);
        optimizer.zero_grad();
        torch::binary_cross_entropy_with_logits(network->forward(batch.images), batch.truth).backward();
        optimizer.step();
    }
    // So few steps are too few for the norms' running statistics.
    TrainingState state;
    state.average = network;
    state.refresh_statistics(8, [&](std::size_t) { return squares(preset).images; });
    return network;
}

ModelFiles files_of(const Preset& preset, const Scopeformer& network) {
    ModelFiles files;
    files.where = "squares";
    files.weights = save_weights(network);
    Manifest manifest;
    manifest.preset = preset;
    manifest.name = "Squares";
    manifest.weights_sha256 = sha256_hex(files.weights);
    files.manifest_json = manifest_json(manifest);
    return files;
}

double row_sum(const Grid& grid, int row) {
    double sum = 0;
    for (int column = 0; column < grid.columns; ++column)
        sum += double(grid.values[std::size_t(row * grid.columns + column)]);
    return sum;
}

}  // namespace

DOCTEST_TEST_CASE("Grad-CAM finds a planted bright square") {
    torch::manual_seed(21);
    at::set_num_threads(1);
    keep_freed_memory();
    const Preset preset = small_preset();
    const ModelFiles files = files_of(preset, *learn_squares(preset));
    int found = 0, tried = 0;
    for (int y = 8; y < kSize - kSquare; y += 64)
        for (int x = 8; x < kSize - kSquare; x += 64) {
            const auto seen = explain(files, picture(x, y));
            DOCTEST_REQUIRE(seen);
            DOCTEST_CHECK(seen->scores[0] > 0.5F);
            // The CNNs' maps together: all are in the logit's units.
            std::vector<double> heat(kCells * kCells);
            for (const BackboneView& view : seen->backbones) {
                const Grid& cam = view.grad_cam[0];
                DOCTEST_REQUIRE(cam.rows == kCells);
                for (std::size_t i = 0; i < heat.size(); ++i) heat[i] += double(cam.values[i]);
            }
            const auto hottest = int(std::max_element(heat.begin(), heat.end()) - heat.begin());
            const double cell = 32, centre_x = x + kSquare / 2.0, centre_y = y + kSquare / 2.0;
            const double dx = (hottest % kCells + 0.5) * cell - centre_x,
                         dy = (hottest / kCells + 0.5) * cell - centre_y;
            ++tried;
            found += std::hypot(dx, dy) < 1.2 * cell ? 1 : 0;
        }
    DOCTEST_CHECK(tried == 16);
    // By chance one cell in fourteen would count as found.
    DOCTEST_CHECK(found >= 10);
}

DOCTEST_TEST_CASE("An explanation holds what the paper's figures show") {
    const auto seen = explain(test::nano_files(), picture(40, 60));
    DOCTEST_REQUIRE(seen);
    const auto model = Model::load(test::nano_files(), {"cpu", 1, 1});
    DOCTEST_REQUIRE(model);
    const std::vector<HuImage> slices{picture(40, 60)};
    DOCTEST_CHECK(seen->block_similarity.size() == 2);
    DOCTEST_CHECK(seen->block_similarity.back() == doctest::Approx(1));
    DOCTEST_CHECK(std::abs(seen->block_similarity.front()) <= 1.0 + 1e-9);
    DOCTEST_REQUIRE(seen->backbones.size() == 3);
    DOCTEST_CHECK(seen->backbones[0].name == "xception");
    for (const BackboneView& view : seen->backbones) {
        DOCTEST_CHECK(view.features.size() == view.feature_channels.size());
        DOCTEST_CHECK(view.features.size() == std::size_t(std::min(64, view.channels)));
        for (const Grid& cam : view.grad_cam) {
            DOCTEST_CHECK(cam.rows == 8);
            for (const float value : cam.values) DOCTEST_CHECK(value >= 0);
        }
    }
    DOCTEST_CHECK(seen->tokens == 96);
    DOCTEST_CHECK_FALSE(seen->class_token);
    DOCTEST_CHECK(seen->first.block == 1);
    DOCTEST_CHECK(seen->last.block == 2);
    DOCTEST_REQUIRE(seen->last.softmax.size() == 4);
    DOCTEST_CHECK(seen->last.mixed.size() == 4);
    for (const Grid& head : seen->last.softmax)
        for (int row = 0; row < head.rows; ++row) DOCTEST_CHECK(row_sum(head, row) == doctest::Approx(1));
}

DOCTEST_TEST_CASE("What is explained is what is scored") {
    const std::vector<HuImage> slices{picture(40, 60)};
    const auto model = Model::load(test::nano_files(), {"cpu", 1, 1});
    DOCTEST_REQUIRE(model);
    const auto scores = (*model)->infer(slices);
    const auto seen = explain(test::nano_files(), slices.front());
    DOCTEST_REQUIRE(scores);
    DOCTEST_REQUIRE(seen);
    for (std::size_t k = 0; k < kLabelCount; ++k)
        DOCTEST_CHECK(double(seen->scores[k]) ==
                      doctest::Approx(double(scores->front().scores[k])).epsilon(1e-4));
}

DOCTEST_TEST_CASE("A loaded model's heat map is the sum of its CNNs' parts") {
    const HuImage slice = picture(40, 60);
    const auto model = Model::load(test::nano_files(), {"cpu", 1, 1}).value();
    const std::vector<std::size_t> labels{5, 0};
    const auto maps = model->grad_cam(slice, labels);
    DOCTEST_REQUIRE(maps);
    DOCTEST_REQUIRE(maps->size() == 2);
    const auto manifest = parse_manifest(test::nano_files().manifest_json).value();
    const auto network = load_network(test::nano_files(), manifest).value();
    const torch::NoGradGuard no_grad;
    const auto features =
        network->features(apply_windows(resize_hu(slice, kSize).unsqueeze(0), manifest.preset.windows));
    const auto parts = grad_cam_parts(*network, features, labels);
    for (std::size_t k = 0; k < labels.size(); ++k) {
        DOCTEST_REQUIRE(parts[k].size() == 3);
        const Grid sum = grid_of(torch::relu(parts[k][0] + parts[k][1] + parts[k][2]));
        const Grid& map = (*maps)[k];
        DOCTEST_CHECK(map.rows == kCells);
        DOCTEST_CHECK(map.columns == kCells);
        const float most = *std::max_element(sum.values.begin(), sum.values.end());
        DOCTEST_REQUIRE(map.values.size() == sum.values.size());
        for (std::size_t i = 0; i < map.values.size(); ++i)
            DOCTEST_CHECK(std::abs(map.values[i] - sum.values[i]) <= 1e-3F * std::max(most, 1e-3F));
    }
    // Scoring goes on as before.
    DOCTEST_CHECK(model->infer(std::vector<HuImage>{slice}));
    DOCTEST_CHECK(model->grad_cam(HuImage{}, labels).error().code == Code::kInvalidArgument);
}

DOCTEST_TEST_CASE("Ablation is the fall of the probability without a CNN's own positions") {
    const HuImage slice = picture(40, 60);
    const auto seen = explain(test::nano_files(), slice);
    DOCTEST_REQUIRE(seen);
    const auto manifest = parse_manifest(test::nano_files().manifest_json).value();
    const auto network = load_network(test::nano_files(), manifest).value();
    const torch::NoGradGuard no_grad;
    const auto input = apply_windows(resize_hu(slice, 256).unsqueeze(0), manifest.preset.windows);
    double largest = 0;
    for (std::size_t cnn = 0; cnn < 3; ++cnn) {
        auto features = network->features(input);
        auto& map = features[cnn];
        for (std::int64_t channel = 0; channel < map.size(1); ++channel)
            map[0][channel].fill_(map[0][channel].mean().item<float>());
        const auto left = torch::sigmoid(network->classify(features, nullptr))[0];
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            const double fall = double(seen->scores[k]) - left[std::int64_t(k)].item<double>();
            DOCTEST_CHECK(std::abs(seen->backbones[cnn].ablation[k] - fall) < 1e-5);
            largest = std::max(largest, std::abs(fall));
        }
    }
    DOCTEST_CHECK(largest > 1e-4);
}

DOCTEST_TEST_CASE("A damaged model and an impossible slice are refused with the reason") {
    ModelFiles files = test::nano_files();
    DOCTEST_CHECK(explain(files, HuImage{}).error().code == Code::kInvalidArgument);
    files.weights.back() = char(files.weights.back() + 1);
    const auto damaged = explain(files, picture(1, 1));
    DOCTEST_REQUIRE_FALSE(damaged);
    DOCTEST_CHECK(damaged.error().message.find("sha256") != std::string::npos);
    files.manifest_json = "{";
    DOCTEST_CHECK(explain(files, picture(1, 1)).error().code == Code::kDamagedModel);
}
