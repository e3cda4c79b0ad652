#pragma once
#include <span>
#include <vector>

#include "ml/grid.h"
#include "ml/torch/scopeformer.h"

namespace scopenode::ml {

/// Grad-CAM (Selvaraju et al. 2017) on each CNN's last feature map, before the 1x1 convolution: channels
/// weighted by the mean slope of the label's logit and summed, S/32 x S/32, before the ReLU. For each of
/// `labels` one part for each CNN; `features` are of one slice.
std::vector<std::vector<torch::Tensor>> grad_cam_parts(Scopeformer& network,
                                                       const std::vector<torch::Tensor>& features,
                                                       std::span<const std::size_t> labels);

/// The feature maps of all CNNs taken as one, which is what the encoder sees: the parts added up, then the
/// ReLU.
std::vector<Grid> joint_grad_cam(Scopeformer& network, const std::vector<torch::Tensor>& features,
                                 std::span<const std::size_t> labels);

/// A matrix on any device in any number format.
Grid grid_of(const torch::Tensor& matrix);

}  // namespace scopenode::ml
