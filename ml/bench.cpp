#include "ml/bench.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "ml/phantom/phantom.h"

namespace scopenode::ml {
namespace {

using Json = nlohmann::ordered_json;

double rounded(double value, double unit) {
    return std::round(value / unit) * unit;
}

double largest_difference(const std::vector<Scores>& a, const std::vector<Scores>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        for (std::size_t label = 0; label < kLabelCount; ++label)
            largest = std::max(largest, std::abs(double(a[i][label]) - double(b[i][label])));
    return largest;
}

}  // namespace

Result<BenchSlices> bench_slices(int count) {
    BenchSlices out;
    for (std::uint64_t study = 0; int(out.images.size()) < count; ++study) {
        PhantomOptions options;
        options.slices = 12;
        options.positive_rate = study % 2 == 0 ? 1 : 0;
        SCOPENODE_ASSIGN(auto phantom, make_phantom(options, study));
        // The middle of the head is where the blood is.
        for (std::size_t i = 5; i < 7 && int(out.images.size()) < count; ++i) {
            out.images.push_back(std::move(phantom.slices[i]));
            Scores& labels = out.labels.emplace_back();
            for (std::size_t k = 0; k < kLabelCount; ++k)
                labels[k] = phantom.slice_findings[i][k] ? 1.0F : 0.0F;
        }
    }
    return out;
}

Result<std::string> inference_report(const ModelFiles& files, ModelOptions options,
                                     std::span<const HuImage> slices, int rounds) {
    SCOPENODE_ASSIGN(const auto manifest, parse_manifest(files.manifest_json));
    Json out{{"preset", manifest.preset.name}, {"input_size", manifest.preset.input_size}};
    std::vector<Scores> reference;
    for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
        options.precision = precision;
        SCOPENODE_ASSIGN(const auto figures, bench_inference(files, options, slices, rounds));
        const bool first = precision == Precision::kFloat32;
        if (first) reference = figures.scores;
        out["device"] = figures.device;
        out["batch"] = figures.batch;
        out["slices"] = slices.size();
        out["rounds"] = rounds;
        const std::string name = first ? "fp32" : "bf16";
        out["milliseconds_per_slice"][name] = rounded(figures.milliseconds_per_slice, 0.01);
        if (!first)
            out["largest_difference_of_probabilities"] = largest_difference(reference, figures.scores);
    }
    return out.dump(2);
}

Result<std::string> fine_tuning_report(const FineTuneOptions& options, std::span<const HuImage> slices,
                                       std::span<const Scores> labels) {
    SCOPENODE_ASSIGN(const auto figures, bench_fine_tuning(options, slices, labels));
    return Json{
        {"preset", options.preset.name},
        {"input_size", options.preset.input_size},
        {"device", figures.device},
        {"batch", slices.size()},
        {"steps", options.steps},
        {"losses", figures.losses},
        {"loss_after", figures.loss_after},
        {"parameters", {{"frozen", figures.frozen_parameters}, {"learning", figures.learning_parameters}}},
        {"frozen_numbers_moved", figures.frozen_moved},
        {"learning_tensors_moved", figures.learning_moved},
        {"milliseconds_per_step", rounded(figures.milliseconds_per_step, 0.1)},
        {"slices_per_second", rounded(1000 * double(slices.size()) / figures.milliseconds_per_step, 0.1)}}
        .dump(2);
}

}  // namespace scopenode::ml
