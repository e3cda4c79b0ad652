#include <algorithm>
#include <cstring>
#include <map>

#include "ml/safetensors.h"
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

}  // namespace scopenode::ml
