#include "ml/torch/grad_cam.h"

namespace scopenode::ml {

using torch::Tensor;

std::vector<std::vector<Tensor>> grad_cam_parts(Scopeformer& network, const std::vector<Tensor>& features,
                                                std::span<const std::size_t> labels) {
    const torch::AutoGradMode gradients(true);
    std::vector<Tensor> leaves;
    for (const Tensor& map : features) leaves.push_back(map.detach().clone().set_requires_grad(true));
    const Tensor logits = network.classify(leaves, nullptr);
    std::vector<std::vector<Tensor>> all;
    for (const std::size_t label : labels) {
        const auto slopes = torch::autograd::grad({logits[0][std::int64_t(label)]}, leaves, {}, true);
        auto& parts = all.emplace_back();
        for (std::size_t i = 0; i < leaves.size(); ++i) {
            const Tensor weight = slopes[i].to(torch::kFloat32).mean({2, 3}, true);
            parts.push_back((weight * leaves[i].detach().to(torch::kFloat32)).sum(1)[0]);
        }
    }
    return all;
}

std::vector<Grid> joint_grad_cam(Scopeformer& network, const std::vector<Tensor>& features,
                                 std::span<const std::size_t> labels) {
    std::vector<Grid> maps;
    for (const auto& parts : grad_cam_parts(network, features, labels)) {
        Tensor sum = torch::zeros_like(parts.front());
        for (const Tensor& part : parts) sum = sum + part;
        maps.push_back(grid_of(torch::relu(sum)));
    }
    return maps;
}

Grid grid_of(const Tensor& matrix) {
    const Tensor flat = matrix.detach().to(torch::kCPU, torch::kFloat32).contiguous();
    const float* values = flat.data_ptr<float>();
    return {int(flat.size(0)), int(flat.size(1)), {values, values + flat.numel()}};
}

}  // namespace scopenode::ml
