#include "ml/explain.h"

#include <algorithm>
#include <numeric>

#include "ml/torch/grad_cam.h"
#include "ml/torch/runtime.h"

namespace scopenode::ml {
namespace {

using torch::Tensor;
constexpr std::size_t kShownFeatures = 64;

std::vector<Grid> grids_of(const Tensor& stack) {
    std::vector<Grid> grids;
    if (stack.defined())
        for (std::int64_t i = 0; i < stack.size(0); ++i) grids.push_back(grid_of(stack[i]));
    return grids;
}

/// "xception", and "xception 2" for the second of several.
std::string display_name(const Preset& preset, std::size_t index) {
    const std::string& name = preset.backbones[index].name;
    std::size_t before = 0, all = 0;
    for (std::size_t i = 0; i < preset.backbones.size(); ++i) {
        if (preset.backbones[i].name != name) continue;
        ++all;
        if (i < index) ++before;
    }
    return all > 1 ? fmt::format("{} {}", name, before + 1) : name;
}

/// The maps that vary most over positions tell most.
void show_features(const Tensor& features, BackboneView& view) {
    const Tensor maps = features[0];
    view.channels = int(maps.size(0));
    const Tensor order =
        std::get<1>(maps.flatten(1).var(1, false).sort(0, true)).to(torch::kLong).contiguous();
    const std::size_t shown = std::min(kShownFeatures, std::size_t(view.channels));
    for (std::size_t i = 0; i < shown; ++i) {
        view.feature_channels.push_back(int(order.data_ptr<std::int64_t>()[i]));
        view.features.push_back(grid_of(maps[view.feature_channels.back()]));
    }
}

void add_grad_cams(Scopeformer& network, const std::vector<Tensor>& features,
                   std::vector<BackboneView>& views) {
    std::array<std::size_t, kLabelCount> labels{};
    std::iota(labels.begin(), labels.end(), std::size_t{0});
    const auto parts = grad_cam_parts(network, features, labels);
    for (const std::size_t label : labels)
        for (std::size_t i = 0; i < views.size(); ++i)
            views[i].grad_cam[label] = grid_of(torch::relu(parts[label][i]));
}

Scores scores_of(const Tensor& logits) {
    const Tensor p = torch::sigmoid(logits[0]).to(torch::kCPU).contiguous();
    Scores scores{};
    std::copy_n(p.data_ptr<float>(), kLabelCount, scores.begin());
    return scores;
}

/// A CNN's channels replaced by their mean over positions: what is lost was its word on where and what.
void add_ablation(Scopeformer& network, const std::vector<Tensor>& features, const Scores& whole,
                  std::vector<BackboneView>& views) {
    for (std::size_t i = 0; i < features.size(); ++i) {
        auto without = features;
        without[i] = features[i].mean({2, 3}, true).expand_as(features[i]).contiguous();
        const Scores left = scores_of(network.classify(without, nullptr));
        for (std::size_t label = 0; label < kLabelCount; ++label)
            views[i].ablation[label] = double(whole[label]) - double(left[label]);
    }
}

std::vector<double> similarity_to_last(const std::vector<Tensor>& blocks) {
    std::vector<double> similarity;
    const Tensor last = blocks.back().flatten().to(torch::kDouble);
    for (const Tensor& block : blocks) {
        const Tensor each = block.flatten().to(torch::kDouble);
        similarity.push_back((each.dot(last) / (each.norm() * last.norm()).clamp_min(1e-12)).item<double>());
    }
    return similarity;
}

BlockAttention attention_of(const EncoderTrace& trace, std::size_t block) {
    const AttentionMaps& maps = trace.attention[block];
    return {int(block) + 1, grids_of(maps.softmax[0]),
            maps.mixed.defined() ? grids_of(maps.mixed[0]) : std::vector<Grid>{}};
}

}  // namespace

Result<Explanation> explain(const ModelFiles& files, const HuImage& slice, int threads) {
    SCOPENODE_TRY(check_slice(slice));
    auto manifest = parse_manifest(files.manifest_json);
    if (!manifest) return fail(Code::kDamagedModel, "{}: {}", files.where, manifest.error().message);
    return guard(Code::kInternal, [&]() -> Result<Explanation> {
        set_inference_threads(manifest->preset, threads);
        const torch::NoGradGuard no_grad;
        SCOPENODE_ASSIGN(const auto network, load_network(files, *manifest));
        const Preset& preset = manifest->preset;
        const Tensor input = apply_windows(resize_hu(slice, preset.input_size).unsqueeze(0), preset.windows);
        const auto features = network->features(input);
        EncoderTrace trace;
        Explanation out;
        out.scores = scores_of(network->classify(features, &trace));
        out.model_id = files.id();
        out.preset = preset.name;
        out.demonstration = manifest->demonstration;
        out.trained = manifest->trained();
        out.input = grid_of(input[0][0]);
        out.block_similarity = similarity_to_last(trace.blocks);
        for (std::size_t i = 0; i < features.size(); ++i) {
            auto& view = out.backbones.emplace_back();
            view.name = display_name(preset, i);
            show_features(features[i], view);
        }
        add_grad_cams(*network, features, out.backbones);
        add_ablation(*network, features, out.scores, out.backbones);
        out.first = attention_of(trace, 0);
        out.last = attention_of(trace, trace.attention.size() - 1);
        out.tokens = int(trace.blocks.back().size(1));
        out.class_token = preset.tokens != Tokens::kChannels;
        out.token_meaning = preset.tokens == Tokens::kPatchesCls ? "positions" : "channels";
        return out;
    });
}

}  // namespace scopenode::ml
