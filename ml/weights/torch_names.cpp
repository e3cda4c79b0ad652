#include <cstdio>
#include <map>
#include <regex>

#include "ml/weights/source_names.h"
#include "ml/weights/weights_file.h"

namespace scopenode::ml {
namespace {

using Names = std::map<std::string, std::string>;

/// torchvision's DenseNet: block and layer count from 1, stages from 2 in Keras' names.
std::string densenet_layer(const std::string& keras) {
    static const Names kSingle{
        {"conv1_conv", "features.conv0"}, {"conv1_bn", "features.norm0"}, {"bn", "features.norm5"}};
    if (const auto found = kSingle.find(keras); found != kSingle.end()) return found->second;
    static const Names kParts{{"0_bn", "norm1"}, {"1_conv", "conv1"}, {"1_bn", "norm2"}, {"2_conv", "conv2"}};
    int stage = 0, block = 0;
    char part[8] = "";
    if (std::sscanf(keras.c_str(), "conv%d_block%d_%7s", &stage, &block, part) == 3 && kParts.count(part))
        return fmt::format("features.denseblock{}.denselayer{}.{}", stage - 1, block, kParts.at(part));
    if (std::sscanf(keras.c_str(), "pool%d_%7s", &stage, part) == 2)
        return fmt::format("features.transition{}.{}", stage - 1,
                           std::string(part) == "bn" ? "norm" : "conv");
    return {};
}

/// timm's tf_efficientnet_b5: its first stage has no expansion, so its norms are numbered otherwise.
std::string efficientnet_layer(const std::string& keras) {
    static const Names kSingle{
        {"stem_conv", "conv_stem"}, {"stem_bn", "bn1"}, {"top_conv", "conv_head"}, {"top_bn", "bn2"}};
    if (const auto found = kSingle.find(keras); found != kSingle.end()) return found->second;
    static const Names kFirst{{"dwconv", "conv_dw"},           {"bn", "bn1"},
                              {"se_reduce", "se.conv_reduce"}, {"se_expand", "se.conv_expand"},
                              {"project_conv", "conv_pw"},     {"project_bn", "bn2"}};
    static const Names kLater{{"expand_conv", "conv_pw"},      {"expand_bn", "bn1"},
                              {"dwconv", "conv_dw"},           {"bn", "bn2"},
                              {"se_reduce", "se.conv_reduce"}, {"se_expand", "se.conv_expand"},
                              {"project_conv", "conv_pwl"},    {"project_bn", "bn3"}};
    int stage = 0;
    char block = 0, part[16] = "";
    if (std::sscanf(keras.c_str(), "block%d%c_%15s", &stage, &block, part) != 3) return {};
    const Names& parts = stage == 1 ? kFirst : kLater;
    if (!parts.count(part)) return {};
    return fmt::format("blocks.{}.{}.{}", stage - 1, block - 'a', parts.at(part));
}

/// timm's legacy_xception: its block k is Keras' block k+1; a relu stands first in every sequence but the
/// first's.
std::string xception_layer(const std::string& keras) {
    static const Names kSingle{{"block1_conv1", "conv1"},     {"block1_conv1_bn", "bn1"},
                               {"block1_conv2", "conv2"},     {"block1_conv2_bn", "bn2"},
                               {"block14_sepconv1", "conv3"}, {"block14_sepconv1_bn", "bn3"},
                               {"block14_sepconv2", "conv4"}, {"block14_sepconv2_bn", "bn4"}};
    if (const auto found = kSingle.find(keras); found != kSingle.end()) return found->second;
    int block = 0, step = 0;
    char part[16] = "";
    const int read = std::sscanf(keras.c_str(), "block%d_sepconv%d_%15s", &block, &step, part);
    if (read >= 2)
        return fmt::format("block{}.rep.{}", block - 1,
                           3 * (step - 1) + (block == 2 ? 0 : 1) + (read == 3 ? 1 : 0));
    if (std::sscanf(keras.c_str(), "block%d_%15s", &block, part) != 2) return {};
    return fmt::format("block{}.{}", block - 1, std::string(part) == "skip" ? "skip" : "skipbn");
}

std::string torch_name(const std::string& backbone, const std::string& target) {
    const std::size_t dot = target.find('.');
    const std::string layer = target.substr(0, dot);
    std::string part = target.substr(dot + 1), name;
    if (backbone == "densenet201") name = densenet_layer(layer);
    if (backbone == "efficientnet_b5") name = efficientnet_layer(layer);
    if (backbone == "xception") name = xception_layer(layer);
    if (part == "depthwise.weight") part = "conv1.weight";
    return name.empty() ? "" : name + "." + part;
}

/// The name that a tensor of torchvision's first DenseNet files has today.
std::string modern(const std::string& name) {
    static const std::regex kDotted(
        R"((.*denselayer\d+\.(?:norm|conv))\.([12]\.(?:weight|bias|running_mean|running_var|num_batches_tracked)))");
    return name.size() > 200 ? name : std::regex_replace(name, kDotted, "$1$2");
}

}  // namespace

Result<Assignment> assign_torch(const std::string& backbone, std::span<const TensorShape> targets,
                                std::span<const TensorBytes> sources) {
    if (backbone == "resnet152v2")
        return fail(Code::kUnsupported,
                    "neither timm nor torchvision has a network with resnet152v2's graph (their ResNets "
                    "stride elsewhere "
                    "or are of another version): give Keras' "
                    "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5");
    Assignment assignment;
    std::map<std::string, std::size_t> by_name;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        const std::string name = modern(sources[i].name);
        if (!by_name.emplace(name, i).second)
            return fail(Code::kDamagedModel, "two of its tensors are the same one: '{}' and '{}'",
                        printable(sources[by_name[name]].name), printable(sources[i].name));
        names.push_back(name);
        if (name.ends_with(".num_batches_tracked")) assignment.ignored.push_back(i);
    }
    std::string first;
    std::size_t missing = 0;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const std::string wanted = torch_name(backbone, targets[i].name);
        if (wanted.empty())
            return fail(Code::kInternal, "{} has a tensor {} that timm does not know", backbone,
                        targets[i].name);
        const auto found = by_name.find(wanted);
        if (found != by_name.end()) {
            assignment.fills.push_back(
                {i, found->second, backbone == "xception" ? Axes::kWithoutOnes : Axes::kAsTheyAre});
        } else if (missing++ == 0) {
            first = wanted;
        }
    }
    if (missing > 0)
        return fail(Code::kDamagedModel, "it lacks {} of the {} tensors of {}, such as '{}'{}", missing,
                    targets.size(), backbone, first, looks_like(names, backbone));
    return assignment;
}

}  // namespace scopenode::ml
