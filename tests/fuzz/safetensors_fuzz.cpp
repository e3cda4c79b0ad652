// The first byte chooses the backbone and the naming, the rest is a safetensors file: it is parsed and
// mapped.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "ml/weights/image_file.h"
#include "ml/weights/import.h"
#include "tests/fuzz/weights_seeds.h"

using namespace scopenode;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kNetworks = test::cut_networks();
    if (size == 0) return 0;
    const auto& network = kNetworks[data[0] % 4];
    const auto format = data[0] & 4 ? ml::WeightsFormat::kH5 : ml::WeightsFormat::kSafetensors;
    const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
    (void)ml::weights_format(file, "input");
    (void)ml::read_image(file, "input");
    const auto mapped = ml::map_weights(file, format, "input", network.backbone, network.targets);
    if (!mapped) {
        if (mapped.error().message.empty()) std::abort();
        return 0;
    }
    // Whatever is accepted fills every target with its shape and finite values.
    if (mapped->tensors.size() != network.targets.size()) std::abort();
    for (std::size_t i = 0; i < network.targets.size(); ++i) {
        const auto& tensor = mapped->tensors[i];
        if (tensor.name != network.targets[i].name || tensor.shape != network.targets[i].shape) std::abort();
        std::size_t count = 1;
        for (const auto length : tensor.shape) count *= std::size_t(length);
        if (tensor.values.size() != count) std::abort();
        if (!std::all_of(tensor.values.begin(), tensor.values.end(),
                         [](float v) { return std::isfinite(v); }))
            std::abort();
    }
    return 0;
}
