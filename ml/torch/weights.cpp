#include <algorithm>
#include <cstring>
#include <map>

#include "ml/backbone.h"
#include "ml/safetensors.h"
#include "ml/torch/backbones.h"
#include "ml/torch/scopeformer.h"

namespace scopenode::ml {
namespace {

/// Parameters and buffers by name; copies of a tensor share its memory.
std::map<std::string, torch::Tensor> state_of(const torch::nn::Module& module) {
    std::map<std::string, torch::Tensor> state;
    for (const auto& item : module.named_parameters()) state.emplace(item.key(), item.value());
    for (const auto& item : module.named_buffers()) state.emplace(item.key(), item.value());
    return state;
}

Result<torch::Tensor> checked(const TensorBytes& source, const torch::Tensor& target,
                              const std::string& where) {
    if (source.dtype != "F32")
        return fail(Code::kDamagedModel, "{}: tensor '{}' is {}, not F32", where, source.name, source.dtype);
    if (torch::IntArrayRef(source.shape) != target.sizes())
        return fail(Code::kDamagedModel, "{}: tensor '{}' has another shape than the model", where,
                    source.name);
    // The file's data need not be aligned for floats.
    auto values = torch::empty(target.sizes(), torch::kFloat32);
    if (!source.bytes.empty())
        std::memcpy(values.data_ptr<float>(), source.bytes.data(), source.bytes.size());
    if (!torch::isfinite(values).all().item<bool>())
        return fail(Code::kDamagedModel, "{}: tensor '{}' holds a value that is not a number", where,
                    source.name);
    return values;
}

/// Copies each tensor to where its name belongs; every target exactly once, shapes equal, values finite.
Status fill(std::map<std::string, torch::Tensor> state, const std::vector<FloatTensor>& tensors,
            const std::string& what) {
    torch::NoGradGuard no_grad;
    for (const FloatTensor& source : tensors) {
        const auto target = state.find(source.name);
        if (target == state.end())
            return fail(Code::kDamagedModel, "{} has no tensor '{}', or it comes twice", what, source.name);
        if (torch::IntArrayRef(source.shape) != target->second.sizes() ||
            std::int64_t(source.values.size()) != target->second.numel())
            return fail(Code::kDamagedModel, "{}: tensor '{}' has another shape than the model", what,
                        source.name);
        const auto values =
            torch::from_blob(const_cast<float*>(source.values.data()), source.shape, torch::kFloat32);
        if (!torch::isfinite(values).all().item<bool>())
            return fail(Code::kDamagedModel, "{}: tensor '{}' holds a value that is not a number", what,
                        source.name);
        target->second.copy_(values);
        state.erase(target);
    }
    if (state.empty()) return {};
    return fail(Code::kDamagedModel, "{}: tensor '{}' and {} more are missing", what, state.begin()->first,
                state.size() - 1);
}

Status check_image(const FloatTensor& image) {
    const auto& s = image.shape;
    if (s.size() != 4 || s[1] != 3 || s[0] < 1 || s[2] < 32 || s[3] < 32 || s[2] % 32 != 0 || s[3] % 32 != 0)
        return fail(Code::kInvalidArgument,
                    "the image must have the shape N x 3 x H x W, H and W multiples of 32");
    if (std::int64_t(image.values.size()) != s[0] * s[1] * s[2] * s[3])
        return fail(Code::kInvalidArgument, "the image holds {} values, which is not its shape",
                    image.values.size());
    return {};
}

}  // namespace

std::string save_weights(const torch::nn::Module& module) {
    torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> kept;
    std::vector<TensorBytes> tensors;
    for (const auto& [name, value] : state_of(module)) {
        kept.push_back(value.detach().to(torch::kCPU, torch::kFloat32).contiguous());
        const torch::Tensor& flat = kept.back();
        tensors.push_back(
            {name,
             "F32",
             flat.sizes().vec(),
             {static_cast<const char*>(flat.data_ptr()), std::size_t(flat.numel()) * sizeof(float)}});
    }
    return build_safetensors(tensors);
}

Status load_weights(torch::nn::Module& module, const std::string& bytes, const std::string& where) {
    return guard(Code::kDamagedModel, [&]() -> Status {
        torch::NoGradGuard no_grad;
        SCOPENODE_ASSIGN(const auto tensors, parse_safetensors(bytes, where));
        auto state = state_of(module);
        // Everything is checked before the first tensor of the module changes.
        std::vector<std::pair<torch::Tensor, torch::Tensor>> copies;
        for (const TensorBytes& source : tensors) {
            const auto target = state.find(source.name);
            if (target == state.end())
                return fail(Code::kDamagedModel, "{}: the model has no tensor '{}'", where, source.name);
            SCOPENODE_ASSIGN(auto values, checked(source, target->second, where));
            copies.emplace_back(target->second, std::move(values));
            state.erase(target);
        }
        if (!state.empty())
            return fail(Code::kDamagedModel, "{}: tensor '{}' and {} more are missing", where,
                        state.begin()->first, state.size() - 1);
        for (auto& [target, values] : copies) target.copy_(values);
        return {};
    });
}

Result<std::vector<TensorShape>> backbone_tensors(const BackbonePreset& backbone) {
    return guard(Code::kInternal, [&]() -> Result<std::vector<TensorShape>> {
        SCOPENODE_ASSIGN(const auto network, make_backbone(backbone));
        std::vector<TensorShape> shapes;
        for (const auto& [name, value] : state_of(*network)) shapes.push_back({name, value.sizes().vec()});
        return shapes;
    });
}

Result<FloatTensor> run_backbone(const BackbonePreset& backbone, const std::vector<FloatTensor>& weights,
                                 const FloatTensor& image) {
    return guard(Code::kInternal, [&]() -> Result<FloatTensor> {
        SCOPENODE_TRY(check_image(image));
        SCOPENODE_ASSIGN(const auto network, make_backbone(backbone));
        SCOPENODE_TRY(fill(state_of(*network), weights, backbone.name));
        c10::InferenceMode inference;
        network->eval();
        const auto pixels =
            torch::from_blob(const_cast<float*>(image.values.data()), image.shape, torch::kFloat32);
        const auto features = network->forward(pixels).contiguous();
        const float* values = features.data_ptr<float>();
        return FloatTensor{"features", features.sizes().vec(), {values, values + features.numel()}};
    });
}

Result<std::string> first_weights(const Preset& preset, std::uint64_t seed) {
    return guard(Code::kInternal, [&]() -> Result<std::string> {
        torch::manual_seed(seed);
        SCOPENODE_ASSIGN(const auto network, make_scopeformer(preset));
        measure_norms(*network, preset.input_size);
        return save_weights(*network);
    });
}

Result<std::string> with_backbone(const Preset& preset, const std::string& weights, std::size_t index,
                                  const std::vector<FloatTensor>& tensors) {
    return guard(Code::kInternal, [&]() -> Result<std::string> {
        if (index >= preset.backbones.size())
            return fail(Code::kInvalidArgument, "preset {} has {} backbones", preset.name,
                        preset.backbones.size());
        SCOPENODE_ASSIGN(const auto network, make_scopeformer(preset));
        SCOPENODE_TRY(load_weights(*network, weights, "weights.safetensors"));
        const std::string prefix = fmt::format("backbones.{}.", index);
        std::map<std::string, torch::Tensor> part;
        for (const auto& [name, value] : state_of(*network))
            if (name.rfind(prefix, 0) == 0) part.emplace(name.substr(prefix.size()), value);
        SCOPENODE_TRY(fill(part, tensors, preset.backbones[index].name));
        return save_weights(*network);
    });
}

}  // namespace scopenode::ml
