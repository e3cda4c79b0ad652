#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "ml/weights/weights_file.h"
#include "tests/support/weights/weight_files.h"

namespace scopenode::test {

/// A network cut down to some of its tensors: an input of a fuzzer should be a few kilobytes.
struct CutNetwork {
    const char* backbone;
    std::vector<ml::TensorShape> targets;
    std::string torch;  ///< safetensors bytes; "" where there is no such file
    std::vector<H5Layer> keras;
};

/// One of each backbone, channels at their narrowest; the first tensors and those of Xception's skips.
inline std::vector<CutNetwork> cut_networks() {
    constexpr int kNarrow = 4096;
    constexpr std::size_t kTensors = 24;
    std::vector<CutNetwork> all;
    for (const char* backbone : {"xception", "efficientnet_b5", "resnet152v2", "densenet201"}) {
        CutNetwork cut{backbone, {}, "", keras_layers(backbone, kNarrow, distinct_value)};
        std::vector<std::string> layers;
        std::vector<ml::TensorShape> few;
        std::vector<ml::FloatTensor> torch;
        for (const auto& tensor : network_tensors(backbone, kNarrow)) {
            if (few.size() >= kTensors && tensor.ours.find("_skip") == std::string::npos) continue;
            few.push_back({tensor.ours, tensor.shape});
            layers.push_back(tensor.keras_layer);
            std::size_t count = 1;
            for (const auto length : tensor.shape) count *= std::size_t(length);
            torch.push_back({tensor.torch, tensor.shape, std::vector<float>(count, 0.5F)});
        }
        layers.push_back("input_1");
        layers.push_back("normalization");
        std::erase_if(cut.keras, [&](const H5Layer& layer) {
            return std::find(layers.begin(), layers.end(), layer.name) == layers.end();
        });
        cut.targets = few;
        if (!torch.front().name.empty()) cut.torch = safetensors_of(torch);
        all.push_back(std::move(cut));
    }
    return all;
}

}  // namespace scopenode::test
