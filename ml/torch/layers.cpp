#include "ml/torch/layers.h"

#include <cmath>
#include <limits>
#include <utility>

namespace scopenode::ml {
namespace {

thread_local MacCounter* active_counter = nullptr;

void truncated_normal(Tensor& t, double deviation) {
    torch::NoGradGuard no_grad;
    t.normal_(0, deviation).clamp_(-2 * deviation, 2 * deviation);
}

}  // namespace

MacCounter::MacCounter() : outer_(active_counter) {
    active_counter = this;
}
MacCounter::~MacCounter() {
    active_counter = outer_;
}
void MacCounter::add(double macs) {
    if (active_counter) active_counter->total_ += macs;
}

void initialise_all(torch::nn::Module& module) {
    // Inner layers first: an outer one may give its parts other first values.
    const auto inner = module.modules(false);
    for (auto it = inner.rbegin(); it != inner.rend(); ++it)
        if (auto* layer = dynamic_cast<Layer*>(it->get())) layer->initialise();
    if (auto* layer = dynamic_cast<Layer*>(&module)) layer->initialise();
}

Conv::Conv(const ConvOptions& options) : options_(options) {
    const auto& o = options_;
    weight = register_parameter("weight", torch::empty({o.out, o.in / o.groups, o.kernel, o.kernel}));
    if (o.bias) bias = register_parameter("bias", torch::empty({o.out}));
}

void Conv::initialise() {
    torch::NoGradGuard no_grad;
    const double fan_in = double(options_.in / options_.groups * options_.kernel * options_.kernel);
    weight.normal_(0, std::sqrt(2.0 / fan_in));
    if (bias.defined()) bias.zero_();
}

Tensor Conv::forward(const Tensor& x) {
    const auto& o = options_;
    Tensor in = x;
    std::int64_t pad_y = o.pad, pad_x = o.pad;
    if (o.pad == kSame) {
        const SamePad y = same_pad(x.size(2), o.kernel, o.stride);
        const SamePad z = same_pad(x.size(3), o.kernel, o.stride);
        pad_y = y.before;
        pad_x = z.before;
        if (y.before != y.after || z.before != z.after) {
            in = torch::constant_pad_nd(x, {z.before, z.after, y.before, y.after}, 0);
            pad_y = pad_x = 0;
        }
    }
    Tensor out = torch::conv2d(in, weight, bias, {o.stride, o.stride}, {pad_y, pad_x}, {1, 1}, o.groups);
    MacCounter::add(double(out.size(2) * out.size(3)) * double(weight.numel()));
    return out;
}

BatchNorm::BatchNorm(std::int64_t channels, double eps, double momentum) : eps_(eps), momentum_(momentum) {
    weight = register_parameter("weight", torch::empty({channels}));
    bias = register_parameter("bias", torch::empty({channels}));
    running_mean = register_buffer("running_mean", torch::empty({channels}));
    running_var = register_buffer("running_var", torch::empty({channels}));
}

void BatchNorm::initialise() {
    torch::NoGradGuard no_grad;
    weight.fill_(1);
    bias.zero_();
    running_mean.zero_();
    running_var.fill_(1);
}

void BatchNorm::fold_into(Conv& before) {
    const torch::NoGradGuard no_grad;
    const Tensor scale = weight / torch::sqrt(running_var + eps_);
    const Tensor offset = bias - running_mean * scale;
    before.weight.mul_(scale.view({-1, 1, 1, 1}));
    if (before.bias.defined())
        before.bias.mul_(scale).add_(offset);
    else
        before.bias = before.register_parameter("bias", offset.clone(), false);
    folded_ = true;
}

Tensor BatchNorm::forward(const Tensor& x) {
    if (folded_) return x;
    const bool measuring = std::exchange(measuring_, false);
    if (measuring)
        return torch::batch_norm(x, weight, bias, running_mean, running_var, true, 1.0, eps_,
                                 at::globalContext().userEnabledCuDNN());
    return torch::batch_norm(x, weight, bias, running_mean, running_var, is_training(), momentum_, eps_,
                             at::globalContext().userEnabledCuDNN());
}

Dense::Dense(std::int64_t in, std::int64_t out, bool with_bias) {
    weight = register_parameter("weight", torch::empty({out, in}));
    if (with_bias) bias = register_parameter("bias", torch::empty({out}));
}

void Dense::initialise() {
    truncated_normal(weight, 0.02);
    torch::NoGradGuard no_grad;
    if (bias.defined()) bias.zero_();
}

Tensor Dense::forward(const Tensor& x) {
    double rows = 1;
    for (std::int64_t axis = 1; axis + 1 < x.dim(); ++axis) rows *= double(x.size(axis));
    MacCounter::add(rows * double(weight.numel()));
    return torch::linear(x, weight, bias);
}

LayerNorm::LayerNorm(std::int64_t width, int axes) : axes_(axes) {
    weight = register_parameter("weight", torch::empty({width}));
    bias = register_parameter("bias", torch::empty({width}));
}

void LayerNorm::initialise() {
    torch::NoGradGuard no_grad;
    weight.fill_(1);
    bias.zero_();
}

Tensor LayerNorm::forward(const Tensor& x) {
    constexpr double kEps = 1e-6;
    if (axes_ == 1) return torch::layer_norm(x, {x.size(-1)}, weight, bias, kEps);
    return torch::layer_norm(x, x.sizes().slice(x.dim() - axes_), {}, {}, kEps) * weight + bias;
}

Tensor max_pool_same(const Tensor& x, std::int64_t kernel, std::int64_t stride) {
    const SamePad y = same_pad(x.size(2), kernel, stride);
    const SamePad z = same_pad(x.size(3), kernel, stride);
    if (y.before == y.after && z.before == z.after && 2 * y.before <= kernel && 2 * z.before <= kernel)
        return torch::max_pool2d(x, {kernel, kernel}, {stride, stride}, {y.before, z.before});
    const double lowest = -std::numeric_limits<double>::infinity();
    const Tensor padded = torch::constant_pad_nd(x, {z.before, z.after, y.before, y.after}, lowest);
    return torch::max_pool2d(padded, {kernel, kernel}, {stride, stride});
}

}  // namespace scopenode::ml
