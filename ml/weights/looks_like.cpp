#include <algorithm>

#include "ml/weights/source_names.h"

namespace scopenode::ml {
namespace {

class Known {
  public:
    explicit Known(std::span<const std::string> names) : names_(names) {}
    bool has(const char* name) const { return std::find(names_.begin(), names_.end(), name) != names_.end(); }

  private:
    std::span<const std::string> names_;
};

const char* keras_network(const Known& known) {
    if (known.has("block14_sepconv2")) return "xception";
    if (known.has("stem_conv") && known.has("top_conv"))
        return known.has("block7c_dwconv") && known.has("block6i_dwconv") && !known.has("block6j_dwconv")
                   ? "efficientnet_b5"
                   : "an EfficientNet of another size";
    if (known.has("post_bn") && known.has("conv5_block1_preact_bn"))
        return known.has("conv4_block36_1_conv") ? "resnet152v2" : "a ResNet V2 of another depth";
    if (known.has("conv5_block1_0_bn"))
        return known.has("conv4_block48_1_conv") && known.has("conv5_block32_1_conv")
                   ? "densenet201"
                   : "a DenseNet of another depth";
    if (known.has("conv5_block1_1_conv")) return "a ResNet of the first version";
    if (known.has("block5_conv1")) return "a VGG";
    if (known.has("mixed10")) return "an Inception";
    return nullptr;
}

const char* torch_network(const Known& known) {
    if (known.has("features.denseblock1.denselayer1.norm1.weight"))
        return known.has("features.denseblock3.denselayer48.norm1.weight") &&
                       known.has("features.denseblock4.denselayer32.norm1.weight")
                   ? "densenet201"
                   : "a DenseNet of another depth";
    if (known.has("conv_stem.weight"))
        return known.has("blocks.6.2.conv_dw.weight") && known.has("blocks.5.8.conv_dw.weight") &&
                       !known.has("blocks.5.9.conv_dw.weight")
                   ? "efficientnet_b5"
                   : "an EfficientNet of another size";
    if (known.has("block12.skip.weight") && known.has("conv4.pointwise.weight")) return "xception";
    if (known.has("features.0.0.weight") && known.has("features.1.0.block.0.0.weight"))
        return "torchvision's EfficientNet, which pads otherwise: give timm's tf_efficientnet_b5";
    if (known.has("layer4.0.conv1.weight")) return "a ResNet of the first version";
    if (known.has("stages.3.blocks.0.conv1.weight"))
        return "timm's ResNet V2 or BiT, another graph than Keras'";
    return nullptr;
}

}  // namespace

std::string looks_like(std::span<const std::string> names, const std::string& wanted) {
    const Known known(names);
    const char* network = keras_network(known);
    if (!network) network = torch_network(known);
    if (!network) return "";
    if (network == wanted) return " (otherwise it looks like one: damaged or cut?)";
    return fmt::format(": it looks like {}", network);
}

}  // namespace scopenode::ml
