#include "tests/support/weights/weight_files.h"

#include <algorithm>

#include "ml/safetensors.h"
#include "ml/weights/image_file.h"

namespace scopenode::test {
namespace {

/// From our position to Keras': OIHW -> HWIO, or C1HW -> HWC1.
std::size_t keras_position(const NetworkTensor& tensor, std::size_t position) {
    if (tensor.shape.size() != 4) return position;
    const auto out = std::size_t(tensor.shape[0]), in = std::size_t(tensor.shape[1]);
    const auto pixels = std::size_t(tensor.shape[2] * tensor.shape[3]);
    const std::size_t p = position % pixels, i = position / pixels % in, o = position / pixels / in;
    return tensor.depthwise ? p * out + o : (p * in + i) * out + o;
}

H5Weight keras_weight(const NetworkTensor& tensor, std::size_t index, const ValueOf& value) {
    H5Weight weight{tensor.keras_layer + "/" + tensor.keras_weight + ":0", tensor.shape, {}};
    const auto& s = tensor.shape;
    if (s.size() == 4)
        weight.shape = tensor.depthwise ? std::vector<std::int64_t>{s[2], s[3], s[0], s[1]}
                                        : std::vector<std::int64_t>{s[2], s[3], s[1], s[0]};
    std::size_t count = 1;
    for (const std::int64_t length : s) count *= std::size_t(length);
    weight.values.resize(count);
    for (std::size_t p = 0; p < count; ++p)
        weight.values[keras_position(tensor, p)] = value(tensor, index, p);
    return weight;
}

}  // namespace

std::vector<H5Layer> keras_layers(const std::string& backbone, int narrow, const ValueOf& value) {
    const auto tensors = network_tensors(backbone, narrow);
    std::vector<H5Layer> layers{{"input_1", {}}};
    if (backbone == "efficientnet_b5") {
        layers.push_back({"rescaling", {}});
        layers.push_back({"normalization",
                          {{"mean:0", {3}, {0.485F, 0.456F, 0.406F}},
                           {"variance:0", {3}, {0.229F, 0.224F, 0.225F}},
                           {"count:0", {}, {1}}}});
    }
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::string& name = tensors[i].keras_layer;
        if (layers.back().name != name) {
            if (!layers.back().weights.empty()) layers.push_back({layers.back().name + "_activation", {}});
            layers.push_back({name, {}});
        }
        layers.back().weights.push_back(keras_weight(tensors[i], i, value));
    }
    return layers;
}

std::string safetensors_of(const std::vector<ml::FloatTensor>& tensors) {
    return ml::tensor_file(tensors);
}

std::string torch_file(const std::string& backbone, int narrow, const ValueOf& value) {
    std::vector<ml::FloatTensor> list;
    std::vector<std::string> norms;
    const auto tensors = network_tensors(backbone, narrow);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        std::size_t count = 1;
        for (const std::int64_t length : tensors[i].shape) count *= std::size_t(length);
        ml::FloatTensor tensor{tensors[i].torch, tensors[i].shape, std::vector<float>(count)};
        for (std::size_t p = 0; p < count; ++p) tensor.values[p] = value(tensors[i], i, p);
        list.push_back(std::move(tensor));
        if (tensors[i].torch.ends_with(".running_var")) norms.push_back(tensors[i].torch);
    }
    std::vector<ml::TensorBytes> bytes;
    for (const auto& tensor : list)
        bytes.push_back(
            {tensor.name,
             "F32",
             tensor.shape,
             {reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float)}});
    const std::string steps(8, '\0');
    for (std::string name : norms) {
        name.replace(name.size() - 11, 11, "num_batches_tracked");
        bytes.push_back({name, "I64", {}, steps});
    }
    return ml::build_safetensors(bytes);
}

std::string flat_file(const std::vector<H5Layer>& layers) {
    std::vector<ml::FloatTensor> list;
    for (const H5Layer& layer : layers)
        for (const H5Weight& weight : layer.weights) {
            const std::string leaf = weight.name.substr(weight.name.rfind('/') + 1);
            list.push_back({layer.name + "/" + leaf.substr(0, leaf.rfind(':')), weight.shape, weight.values});
        }
    return safetensors_of(list);
}

std::vector<ml::TensorShape> network_targets(const std::string& backbone, int narrow) {
    std::vector<ml::TensorShape> targets;
    for (const auto& tensor : network_tensors(backbone, narrow))
        targets.push_back({tensor.ours, tensor.shape});
    return targets;
}

}  // namespace scopenode::test
