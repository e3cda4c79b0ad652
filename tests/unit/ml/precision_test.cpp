#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <algorithm>
#include <cmath>

#include "base/core/ids.h"
#include "ml/aggregate.h"
#include "ml/bench.h"
#include "ml/metrics.h"
#include "ml/phantom/phantom.h"
#include "ml/torch/runtime.h"
#include "ml/weights/untrained.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

/// The network as it is trained: nothing folded, 32-bit floats.
std::vector<Scores> eager_scores(const ModelFiles& files, const std::vector<HuImage>& slices) {
    const auto manifest = parse_manifest(files.manifest_json);
    DOCTEST_REQUIRE(manifest);
    const auto network = load_network(files, *manifest);
    DOCTEST_REQUIRE(network);
    const torch::NoGradGuard no_grad;
    std::vector<Scores> scores;
    for (const HuImage& slice : slices) {
        const auto hu = resize_hu(slice, manifest->preset.input_size).unsqueeze(0);
        const auto p =
            torch::sigmoid((*network)->forward(apply_windows(hu, manifest->preset.windows))).contiguous();
        std::copy_n(p.data_ptr<float>(), kLabelCount, scores.emplace_back().begin());
    }
    return scores;
}

std::vector<SliceScores> loaded_infer(const ModelFiles& files, const std::vector<HuImage>& slices,
                                      Precision precision) {
    ModelOptions options{"cpu", 1, 4};
    options.precision = precision;
    const auto model = Model::load(files, options);
    DOCTEST_REQUIRE(model);
    const auto scored = (*model)->infer(slices);
    DOCTEST_REQUIRE(scored);
    return *scored;
}

std::vector<Scores> loaded_scores(const ModelFiles& files, const std::vector<HuImage>& slices,
                                  Precision precision) {
    std::vector<Scores> scores;
    for (const SliceScores& slice : loaded_infer(files, slices, precision)) scores.push_back(slice.scores);
    return scores;
}

double largest_difference(const std::vector<Scores>& a, const std::vector<Scores>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t k = 0; k < kLabelCount; ++k)
            largest = std::max(largest, std::abs(double(a[i][k]) - double(b[i][k])));
    return largest;
}

/// Random weights whose norms have statistics of their own, so that folding them has something to do.
ModelFiles uneven_model(const char* preset_name, int input_size) {
    torch::manual_seed(31);
    const Preset preset = resized(find_preset(preset_name).value(), input_size);
    ModelFiles files = random_model(preset, 31).value();
    const auto manifest = parse_manifest(files.manifest_json);
    const auto network = load_network(files, *manifest).value();
    const torch::NoGradGuard no_grad;
    for (const auto& buffer : network->named_buffers()) {
        const bool variance = buffer.key().find("running_var") != std::string::npos;
        buffer.value().uniform_(variance ? 0.7 : -0.1, variance ? 1.3 : 0.1);
    }
    files.weights = save_weights(*network);
    Manifest changed = *manifest;
    changed.weights_sha256 = sha256_hex(files.weights);
    files.manifest_json = manifest_json(changed);
    return files;
}

}  // namespace

DOCTEST_TEST_CASE(
    "Norms folded into convolutions and bfloat16 stay within their bounds of the network as trained") {
    at::set_num_threads(1);
    const auto slices = bench_slices(4).value().images;
    struct Case {
        const char* preset;
        int size;
    };
    // DenseNet201 is only in the first of them.
    for (const Case& c : {Case{"scopeformer_s", 64}, Case{"scopeformer_nano", 256}}) {
        DOCTEST_CAPTURE(c.preset);
        const Preset preset = resized(find_preset(c.preset).value(), c.size);
        const ModelFiles files = uneven_model(c.preset, c.size);
        const auto eager = eager_scores(files, slices);
        const auto spread = [&] {
            double low = 1, high = 0;
            for (const Scores& s : eager) {
                low = std::min(low, double(s[0]));
                high = std::max(high, double(s[0]));
            }
            return high - low;
        };
        DOCTEST_CHECK(spread() > 0);
        DOCTEST_CHECK(largest_difference(eager, loaded_scores(files, slices, Precision::kFloat32)) < 1e-4);
        DOCTEST_CHECK(largest_difference(eager, loaded_scores(files, slices, Precision::kBfloat16)) < 0.01);
    }
}

DOCTEST_TEST_CASE("bfloat16 ranks phantoms as 32-bit floats do") {
    const auto files = read_model_folder(std::string(SCOPENODE_SOURCE_DIR) + "/config/models/demo").value();
    PhantomOptions options;
    options.slices = 10;
    options.size = 256;
    options.seed = 606;
    std::vector<double> exact, coarse;
    std::vector<char> truth;
    double largest = 0;
    for (std::uint64_t number = 0; number < 16; ++number) {
        const auto phantom = make_phantom(options, number).value();
        const auto a = loaded_scores(files, phantom.slices, Precision::kFloat32);
        const auto b = loaded_scores(files, phantom.slices, Precision::kBfloat16);
        largest = std::max(largest, largest_difference(a, b));
        std::vector<PlacedScores> in_a, in_b;
        for (std::size_t i = 0; i < a.size(); ++i) {
            in_a.push_back({phantom.z_mm[i], a[i]});
            in_b.push_back({phantom.z_mm[i], b[i]});
        }
        exact.push_back(double(aggregate(in_a)[0]));
        coarse.push_back(double(aggregate(in_b)[0]));
        truth.push_back(phantom.findings[0] ? 1 : 0);
    }
    DOCTEST_MESSAGE("largest difference of a slice's probability: " << largest);
    DOCTEST_CHECK(largest < 0.15);  // of a trained model; that of random weights is under 0.01, see above
    DOCTEST_CHECK(auroc(exact, truth) == auroc(coarse, truth));
    for (std::size_t i = 0; i < exact.size(); ++i)
        for (std::size_t j = 0; j < exact.size(); ++j)
            if (exact[i] - exact[j] > 0.01) DOCTEST_CHECK(coarse[i] > coarse[j]);
}

DOCTEST_TEST_CASE("bfloat16 places slices where 32-bit floats do") {
    const auto files = read_model_folder(std::string(SCOPENODE_SOURCE_DIR) + "/config/models/demo").value();
    PhantomOptions options;
    options.slices = 10;
    options.size = 256;
    const auto phantom = make_phantom(options, 3).value();
    const auto exact = loaded_infer(files, phantom.slices, Precision::kFloat32);
    const auto coarse = loaded_infer(files, phantom.slices, Precision::kBfloat16);
    for (std::size_t i = 0; i < exact.size(); ++i) {
        DOCTEST_REQUIRE(exact[i].distance);
        DOCTEST_CHECK(*coarse[i].distance == doctest::Approx(*exact[i].distance).epsilon(0.03));
    }
}

DOCTEST_TEST_CASE("Random networks have features of an ordinary size") {
    const ModelFiles files = random_model(find_preset("scopeformer_nano").value(), 5).value();
    const auto manifest = parse_manifest(files.manifest_json).value();
    DOCTEST_CHECK_FALSE(manifest.trained());
    const auto network = load_network(files, manifest).value();
    const torch::NoGradGuard no_grad;
    for (const auto& map : network->features(torch::rand({2, 3, 256, 256}))) {
        DOCTEST_CHECK(map.std().item<double>() > 0.01);
        DOCTEST_CHECK(map.std().item<double>() < 100);
    }
}
