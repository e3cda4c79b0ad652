#include "ml/weights/keras_tree.h"

#include <algorithm>
#include <set>

#include "ml/weights/weights_file.h"

namespace scopenode::ml {
namespace {

constexpr std::size_t kMostNames = 20'000;
constexpr std::size_t kLongestName = 1024;

using Names = std::vector<std::string>;

Status append(Names& all, Names more, const std::string& attribute) {
    for (std::string& name : more) {
        const bool plain =
            std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
        if (name.empty() || name.size() > kLongestName || !plain)
            return fail(Code::kDamagedModel, "its list {} holds an impossible name", attribute);
        all.push_back(std::move(name));
    }
    if (all.size() > kMostNames)
        return fail(Code::kDamagedModel, "its list {} holds more than {} names", attribute, kMostNames);
    return {};
}

/// HDF5 keeps at most 64 KiB in an attribute: longer lists are cut into name0, name1, ...
Result<std::optional<Names>> names_of(H5Tree& tree, const std::string& group, const std::string& attribute) {
    Names all;
    SCOPENODE_ASSIGN(auto whole, tree.texts(group, attribute));
    if (whole) {
        SCOPENODE_TRY(append(all, std::move(*whole), attribute));
        return all;
    }
    for (std::size_t chunk = 0; chunk < kMostNames; ++chunk) {
        SCOPENODE_ASSIGN(auto more, tree.texts(group, fmt::format("{}{}", attribute, chunk)));
        if (!more) return chunk == 0 ? std::optional<Names>() : all;
        SCOPENODE_TRY(append(all, std::move(*more), attribute));
    }
    return fail(Code::kDamagedModel, "its list {} is cut into too many pieces", attribute);
}

struct WeightName {
    std::string scope, leaf;  ///< "conv1/conv" and "kernel" of "conv1/conv/kernel:0"
};

WeightName split(const std::string& name) {
    const std::size_t slash = name.rfind('/');
    WeightName parts{slash == name.npos ? "" : name.substr(0, slash),
                     slash == name.npos ? name : name.substr(slash + 1)};
    parts.leaf.resize(std::min(parts.leaf.size(), parts.leaf.rfind(':')));
    return parts;
}

/// A network inside a network is one layer of the outer one; its weights' names then tell the layers apart.
bool is_nested_network(const Names& weights) {
    std::set<std::string> scopes;
    for (const std::string& weight : weights) scopes.insert(split(weight).scope);
    return scopes.size() > 1 && !scopes.count("");
}

Result<std::string> top_group(H5Tree& tree) {
    for (const char* top : {"", "/model_weights"}) {
        if (*top != '\0' && !tree.has_group(top)) continue;
        SCOPENODE_ASSIGN(const auto layers, names_of(tree, top, "layer_names"));
        if (layers) return std::string(top);
    }
    for (const char* group : {"/layers", "/_layer_checkpoint_dependencies"})
        if (tree.has_group(group))
            return fail(
                Code::kUnsupported,
                "it is Keras 3's .weights.h5, another layout: load it in Keras and keep the whole model with "
                "model.save('model.h5')");
    return fail(Code::kDamagedModel, "it is HDF5 but not Keras' weights: there is no list of layer names");
}

}  // namespace

Result<std::vector<KerasEntry>> keras_entries(H5Tree& tree) {
    SCOPENODE_ASSIGN(const std::string top, top_group(tree));
    SCOPENODE_ASSIGN(const auto layers, names_of(tree, top, "layer_names"));
    std::vector<KerasEntry> entries;
    std::set<std::string> seen;
    for (const std::string& layer : *layers) {
        const std::string group = top + "/" + layer;
        if (!tree.has_group(group))
            return fail(Code::kDamagedModel, "its layer '{}' is listed but not there", printable(layer));
        SCOPENODE_ASSIGN(const auto weights, names_of(tree, group, "weight_names"));
        if (!weights)
            return fail(Code::kDamagedModel, "its layer '{}' has no list of weights", printable(layer));
        const bool nested = is_nested_network(*weights);
        for (const std::string& weight : *weights) {
            const WeightName parts = split(weight);
            KerasEntry entry{group + "/" + weight, (nested ? parts.scope : layer) + "/" + parts.leaf};
            if (!seen.insert(entry.name).second)
                return fail(Code::kDamagedModel, "it holds '{}' twice", printable(entry.name));
            if (entries.size() >= kMostNames)
                return fail(Code::kDamagedModel, "it lists more than {} weights", kMostNames);
            entries.push_back(std::move(entry));
        }
    }
    if (entries.empty()) return fail(Code::kDamagedModel, "it lists no weights");
    return entries;
}

}  // namespace scopenode::ml
