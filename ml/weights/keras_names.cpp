#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <regex>
#include <set>

#include "ml/weights/source_names.h"
#include "ml/weights/weights_file.h"

namespace scopenode::ml {
namespace {

struct Weight {
    std::string leaf;
    std::size_t source;
};
using Layers = std::map<std::string, std::vector<Weight>>;

struct Part {
    std::string name;  ///< "running_mean"
    std::size_t target;
};
using Wanted = std::map<std::string, std::vector<Part>>;

/// What Keras calls a part, in the order in which it keeps them.
struct Leaf {
    const char *part, *keras, *also;
};
constexpr Leaf kNorm[] = {{"weight", "gamma", "gamma"},
                          {"bias", "beta", "beta"},
                          {"running_mean", "moving_mean", "running_mean"},
                          {"running_var", "moving_variance", "running_std"}};
constexpr Leaf kSeparable[] = {{"depthwise.weight", "depthwise_kernel", "depthwise_kernel"},
                               {"pointwise.weight", "pointwise_kernel", "pointwise_kernel"}};
/// Keras 3 calls a depthwise convolution's kernel like any other's.
constexpr Leaf kConvolution[] = {{"weight", "kernel", "depthwise_kernel"}, {"bias", "bias", "bias"}};

std::span<const Leaf> leaves_of(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
        if (part.name == "running_mean") return kNorm;
        if (part.name == "depthwise.weight") return kSeparable;
    }
    return kConvolution;
}

/// Keras once put slashes into DenseNet's names and later did without: both are one name here.
std::string one_name(std::string layer) {
    std::replace(layer.begin(), layer.end(), '/', '_');
    return layer;
}

Result<Layers> layers_of(std::span<const TensorBytes> sources) {
    Layers layers;
    std::map<std::string, std::string> written;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        const std::string& name = sources[i].name;
        const std::size_t slash = name.rfind('/');
        if (slash == name.npos)
            return fail(Code::kDamagedModel, "tensor '{}' belongs to no layer", printable(name));
        const std::string as_written = name.substr(0, slash), layer = one_name(as_written);
        if (written.emplace(layer, as_written).first->second != as_written)
            return fail(Code::kDamagedModel, "two of its layers are the same one: '{}' and '{}'",
                        printable(written[layer]), printable(as_written));
        layers[layer].push_back({name.substr(slash + 1), i});
    }
    return layers;
}

Wanted wanted_of(std::span<const TensorShape> targets) {
    Wanted wanted;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const std::size_t dot = targets[i].name.find('.');
        wanted[targets[i].name.substr(0, dot)].push_back({targets[i].name.substr(dot + 1), i});
    }
    return wanted;
}

/// Layers called "conv2d", "conv2d_7", ... in the order of their numbers.
std::vector<std::string> numbered(const Layers& layers, const char* pattern) {
    const std::regex form(pattern);
    std::vector<std::pair<long, std::string>> found;
    for (const auto& [name, weights] : layers) {
        std::smatch match;
        if (!std::regex_match(name, match, form)) continue;
        const std::string digits = match[1].str();
        long number = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
        found.emplace_back(number, name);
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> names;
    for (auto& [number, name] : found) names.push_back(std::move(name));
    return names;
}

std::int64_t last_axis(std::span<const TensorBytes> sources, const std::vector<Weight>& weights) {
    const auto& shape = sources[weights.front().source].shape;
    return shape.empty() ? -1 : shape.back();
}

/// Gives Xception's four layers without a name the names of ours. A file with more of them (somebody's head)
/// is told apart by the channels.
Status name_skips(std::span<const TensorShape> targets, std::span<const TensorBytes> sources,
                  const Wanted& wanted, const char* pattern, const char* suffix, Layers& layers) {
    std::vector<std::string> free = numbered(layers, pattern);
    std::vector<std::string> skips;
    for (const char* block : {"block2", "block3", "block4", "block13"})
        skips.push_back(fmt::format("{}_skip{}", block, suffix));
    const bool by_order = free.size() == skips.size();
    for (std::size_t i = 0; i < skips.size(); ++i) {
        const auto parts = wanted.find(skips[i]);
        if (parts == wanted.end() || layers.count(skips[i])) continue;
        std::string chosen = by_order ? free[i] : "";
        for (const std::string& name : free) {
            if (by_order ||
                last_axis(sources, layers[name]) != targets[parts->second.front().target].shape[0])
                continue;
            if (!chosen.empty())
                return fail(
                    Code::kDamagedModel,
                    "'{}' and '{}' could both be Xception's {}: give a file without layers of your own",
                    printable(chosen), printable(name), skips[i]);
            chosen = name;
        }
        if (chosen.empty()) continue;
        layers[skips[i]] = layers[chosen];
        layers.erase(chosen);
        if (!by_order) std::erase(free, chosen);
    }
    return {};
}

Axes axes_of(const std::string& layer, const std::string& part) {
    if (part == "depthwise.weight" || (part == "weight" && layer.ends_with("dwconv"))) return Axes::kHwcToChw;
    return Axes::kHwioToOihw;
}

/// The weights of one layer: by Keras' names, or, where a file has older ones, by their order as Keras itself
/// does.
Status fill_layer(const std::string& layer, const std::vector<Part>& parts,
                  const std::vector<Weight>& weights, std::span<const TensorBytes> sources, Assignment& into,
                  std::size_t& by_order) {
    if (weights.size() != parts.size())
        return fail(Code::kDamagedModel, "its layer '{}' holds {} weights where the network has {}", layer,
                    weights.size(), parts.size());
    std::vector<Fill> named, ordered;
    for (const Leaf& leaf : leaves_of(parts)) {
        const auto part =
            std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.name == leaf.part; });
        if (part == parts.end()) continue;
        const auto fill = [&](const Weight& weight) {
            const bool kernel = sources[weight.source].shape.size() == 4;
            return Fill{part->target, weight.source, kernel ? axes_of(layer, part->name) : Axes::kAsTheyAre};
        };
        ordered.push_back(fill(weights[ordered.size()]));
        for (const Weight& weight : weights)
            if (weight.leaf == leaf.keras || weight.leaf == leaf.also) named.push_back(fill(weight));
    }
    if (ordered.size() != parts.size())
        return fail(Code::kInternal, "layer '{}' of the network has parts that Keras does not know", layer);
    if (!named.empty() && named.size() != parts.size())
        return fail(Code::kDamagedModel, "its layer '{}' lacks a weight that Keras gives it", layer);
    if (named.empty()) ++by_order;
    const auto& chosen = named.empty() ? ordered : named;
    into.fills.insert(into.fills.end(), chosen.begin(), chosen.end());
    return {};
}

tl::unexpected<Error> lacking(const std::string& backbone, const Layers& layers, const Wanted& wanted,
                              const std::string& first) {
    std::vector<std::string> names;
    for (const auto& item : layers) names.push_back(item.first);
    std::size_t more = 0;
    for (const auto& item : wanted) more += layers.count(item.first) == 0;
    return fail(Code::kDamagedModel, "it lacks {} of the {} layers of {}, such as '{}'{}", more,
                wanted.size(), backbone, first, looks_like(names, backbone));
}

}  // namespace

Result<Assignment> assign_keras(const std::string& backbone, std::span<const TensorShape> targets,
                                std::span<const TensorBytes> sources) {
    SCOPENODE_ASSIGN(auto layers, layers_of(sources));
    const Wanted wanted = wanted_of(targets);
    if (backbone == "xception") {
        SCOPENODE_TRY(
            name_skips(targets, sources, wanted, "(?:conv2d|convolution2d)(?:_([0-9]{1,9}))?", "", layers));
        SCOPENODE_TRY(
            name_skips(targets, sources, wanted, "batch_?normalization(?:_([0-9]{1,9}))?", "_bn", layers));
    }
    Assignment assignment;
    std::size_t by_order = 0;
    // First, since a layer of another network may have the same name and other weights.
    for (const auto& item : wanted)
        if (!layers.count(item.first)) return lacking(backbone, layers, wanted, item.first);
    for (const auto& [layer, parts] : wanted)
        SCOPENODE_TRY(fill_layer(layer, parts, layers.at(layer), sources, assignment, by_order));
    if (by_order > 0)
        assignment.notes.push_back(fmt::format(
            "{} layers have older weight names and were read in their order, as Keras does", by_order));
    for (const auto& [layer, weights] : layers) {
        if (backbone != "efficientnet_b5" || !layer.starts_with("normalization")) continue;
        for (const Weight& weight : weights) assignment.ignored.push_back(weight.source);
        assignment.notes.push_back(fmt::format(
            "{} is not used: EfficientNet-B5 here has the fixed ImageNet mean and standard deviation",
            layer));
    }
    return assignment;
}

}  // namespace scopenode::ml
