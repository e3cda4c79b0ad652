#include "ml/preset.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "ml/json_depth.h"
#include "scopenode_presets.h"

namespace scopenode::ml {
namespace {

using Json = nlohmann::ordered_json;

template <class E>
using Names = std::vector<std::pair<E, const char*>>;
const Names<Tokens> kTokens{{Tokens::kPatchesCls, "patches_cls"},
                            {Tokens::kChannelsCls, "channels_cls"},
                            {Tokens::kChannels, "channels"}};
const Names<BackboneTraining> kTrainings{{BackboneTraining::kTop, "top"}, {BackboneTraining::kAll, "all"}};
const Names<Attention> kAttentions{{Attention::kMhsa, "mhsa"}, {Attention::kMhra, "mhra"}};
const Names<ReattentionMode> kModes{{ReattentionMode::kStable, "stable"},
                                    {ReattentionMode::kFidelity, "fidelity"}};

/// The windows of RSNA's winners, and what the paper prints: its third is a slip that doubles the second.
const std::vector<std::pair<const char*, std::vector<Window>>> kWindowSets{
    {"default", {{40, 80}, {80, 200}, {40, 380}}},
    {"paper_literal", {{40, 80}, {80, 200}, {80, 200}}},
};
constexpr std::size_t kChannels = 3;
constexpr double kLowestLevel = -1024, kHighestLevel = 3071, kNarrowest = 1, kWidest = 4096;

const std::vector<Window>* find_windows(const std::string& name) {
    for (const auto& [each, windows] : kWindowSets)
        if (name == each) return &windows;
    return nullptr;
}

std::string window_set_names() {
    std::string all;
    for (const auto& [name, windows] : kWindowSets) all += (all.empty() ? "" : ", ") + std::string(name);
    return all;
}

/// The whole of `text` as a number.
std::optional<double> number_in(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
        return std::nullopt;
    return value;
}

const std::set<std::string> kBackbones{"xception", "efficientnet_b5", "resnet152v2", "densenet201"};

template <class E>
const char* name_of(const Names<E>& names, E value) {
    for (const auto& [each, name] : names)
        if (each == value) return name;
    return "";
}

/// Reads values out of one JSON object and collects what is wrong.
class Reader {
  public:
    Reader(const Json& object, std::string where, std::vector<std::string>& faults)
        : object_(object), where_(std::move(where)), faults_(faults) {
        if (!object_.is_object()) fault("is not an object");
    }

    void integer(const char* key, int& into, int least, int most) {
        const Json* value = take(key);
        if (!value) return;
        if (!value->is_number_integer() || *value < least || *value > most)
            return fault(fmt::format("{} must be a whole number from {} to {}", key, least, most));
        into = value->get<int>();
    }
    void number(const char* key, double& into, double least, double most) {
        const Json* value = take(key);
        if (!value) return;
        if (!value->is_number() || value->get<double>() < least || value->get<double>() > most)
            return fault(fmt::format("{} must be a number from {} to {}", key, least, most));
        into = value->get<double>();
    }
    void text(const char* key, std::string& into) {
        const Json* value = take(key);
        if (!value) return fault(fmt::format("{} is missing", key));
        if (!value->is_string() || value->get<std::string>().empty())
            return fault(fmt::format("{} must be a text", key));
        into = value->get<std::string>();
    }
    template <class E>
    void choice(const char* key, E& into, const Names<E>& names) {
        std::string word = name_of(names, into);
        const Json* value = take(key);
        if (!value) return;
        if (value->is_string()) word = value->get<std::string>();
        for (const auto& [each, name] : names)
            if (value->is_string() && word == name) {
                into = each;
                return;
            }
        fault(fmt::format("{} has the unknown value {}", key, value->dump()));
    }
    const Json* take(const char* key) {
        known_.insert(key);
        if (!object_.is_object() || !object_.contains(key)) return nullptr;
        return &object_[key];
    }
    void refuse_the_rest() {
        if (!object_.is_object()) return;
        for (const auto& item : object_.items())
            if (!known_.count(item.key())) fault(fmt::format("{} is not a known key", item.key()));
    }
    void fault(const std::string& text) { faults_.push_back(where_ + ": " + text); }

  private:
    const Json& object_;
    std::string where_;
    std::vector<std::string>& faults_;
    std::set<std::string> known_;
};

void read_windows(Reader& reader, Preset& preset, std::vector<std::string>& faults) {
    const Json* list = reader.take("windows");
    if (list && list->is_string()) {
        const auto* windows = find_windows(list->get<std::string>());
        if (!windows)
            return reader.fault(fmt::format("no set of windows is called {}; there are {}", list->dump(),
                                            window_set_names()));
        preset.windows = *windows;
        return;
    }
    if (!list || !list->is_array() || list->size() != kChannels)
        return reader.fault("windows must be a list of three or the name of a set");
    for (std::size_t i = 0; i < list->size(); ++i) {
        Reader item((*list)[i], fmt::format("windows/{}", i), faults);
        Window window;
        item.number("level", window.level, kLowestLevel, kHighestLevel);
        item.number("width", window.width, kNarrowest, kWidest);
        item.refuse_the_rest();
        preset.windows.push_back(window);
    }
}

void read_backbones(Reader& reader, Preset& preset, std::vector<std::string>& faults) {
    const Json* list = reader.take("backbones");
    if (!list || !list->is_array() || list->empty() || list->size() > 8)
        return reader.fault("backbones must be a list of one to eight");
    for (std::size_t i = 0; i < list->size(); ++i) {
        const std::string where = fmt::format("backbones/{}", i);
        Reader item((*list)[i], where, faults);
        BackbonePreset backbone;
        item.text("name", backbone.name);
        item.number("width", backbone.width, 0.01, 2);
        item.number("depth", backbone.depth, 0.01, 2);
        const bool published = backbone.width == 1 && backbone.depth == 1;
        backbone.training = published ? BackboneTraining::kTop : BackboneTraining::kAll;
        item.choice("train", backbone.training, kTrainings);
        item.refuse_the_rest();
        if (!backbone.name.empty() && !kBackbones.count(backbone.name))
            faults.push_back(
                fmt::format("{}: no backbone is called '{}'; there are xception, efficientnet_b5, "
                            "resnet152v2, densenet201",
                            where, backbone.name));
        preset.backbones.push_back(backbone);
    }
}

std::string joined(const std::vector<std::string>& faults) {
    std::string all;
    for (const std::string& fault : faults) all += (all.empty() ? "" : "; ") + fault;
    return all;
}

}  // namespace

Result<std::vector<Window>> parse_windows(const std::string& text) {
    if (const auto* named = find_windows(text)) return *named;
    std::vector<Window> windows;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string_view one = std::string_view(text).substr(at, end - at);
        const std::size_t slash = one.find('/');
        at = end + 1;
        if (slash == std::string_view::npos) {
            if (windows.empty() && end == text.size())
                return fail(
                    Code::kInvalidArgument,
                    "no set of windows is called '{}'; there are {}, or LEVEL/WIDTH,LEVEL/WIDTH,LEVEL/WIDTH",
                    text, window_set_names());
            return fail(Code::kInvalidArgument, "window {} '{}' is not LEVEL/WIDTH", windows.size() + 1, one);
        }
        const auto level = number_in(one.substr(0, slash)), width = number_in(one.substr(slash + 1));
        if (!level || *level < kLowestLevel || *level > kHighestLevel)
            return fail(Code::kInvalidArgument, "window {} '{}': its level must be a number from {} to {}",
                        windows.size() + 1, one, kLowestLevel, kHighestLevel);
        if (!width || *width < kNarrowest || *width > kWidest)
            return fail(Code::kInvalidArgument, "window {} '{}': its width must be a number from {} to {}",
                        windows.size() + 1, one, kNarrowest, kWidest);
        windows.push_back({*level, *width});
    }
    if (windows.size() != kChannels)
        return fail(Code::kInvalidArgument, "'{}' has {} windows, {} are needed: one a channel", text,
                    windows.size(), kChannels);
    return windows;
}

Result<Preset> parse_preset(const std::string& json) {
    if (nests_too_deep(json)) return fail(Code::kInvalidArgument, "the preset nests too deep");
    const Json root = Json::parse(json, nullptr, false);
    if (root.is_discarded()) return fail(Code::kInvalidArgument, "the preset is not JSON");
    std::vector<std::string> faults;
    Preset preset;
    Reader reader(root, "preset", faults);
    reader.text("name", preset.name);
    reader.integer("input_size", preset.input_size, 64, 2048);
    read_windows(reader, preset, faults);
    read_backbones(reader, preset, faults);
    reader.integer("global_channels", preset.global_channels, 1, 16384);
    reader.choice("tokens", preset.tokens, kTokens);
    reader.integer("token_width", preset.token_width, 1, 16384);
    reader.integer("blocks", preset.blocks, 1, 64);
    reader.integer("heads", preset.heads, 1, 64);
    preset.head_dim = std::max(1, preset.token_width / std::max(1, preset.heads));
    reader.integer("head_dim", preset.head_dim, 1, 1024);
    reader.integer("mlp_width", preset.mlp_width, 1, 65536);
    reader.choice("attention", preset.attention, kAttentions);
    reader.choice("reattention", preset.reattention, kModes);
    reader.number("dropout", preset.dropout, 0, 0.9);
    reader.refuse_the_rest();
    if (!faults.empty()) return fail(Code::kInvalidArgument, "{}", joined(faults));
    SCOPENODE_TRY(check_preset(preset));
    return preset;
}

Status check_preset(const Preset& preset) {
    std::vector<std::string> faults;
    if (preset.windows.size() != 3) faults.push_back("it needs three windows");
    if (preset.backbones.empty()) faults.push_back("it has no backbone");
    for (const BackbonePreset& backbone : preset.backbones)
        if (!kBackbones.count(backbone.name))
            faults.push_back(fmt::format("no backbone is called '{}'", backbone.name));
    if (preset.input_size < 64 || preset.input_size % 32 != 0)
        faults.push_back(
            fmt::format("its input size {} is not a multiple of 32 from 64 on", preset.input_size));
    const int cnns = std::max(1, int(preset.backbones.size()));
    if (preset.global_channels % cnns != 0)
        faults.push_back(
            fmt::format("{} global channels do not divide by {} backbones", preset.global_channels, cnns));
    const int cells = (preset.input_size / 32) * (preset.input_size / 32);
    const bool patches = preset.tokens == Tokens::kPatchesCls;
    const int width = patches ? preset.global_channels : cells;
    if (preset.token_width != width)
        faults.push_back(fmt::format(
            "its token width {} does not fit: {} have {}", preset.token_width,
            patches ? "patch tokens of so many global channels" : "channel tokens of so large an input",
            width));
    if (preset.heads < 1 || preset.token_width % preset.heads != 0)
        faults.push_back(
            fmt::format("{} heads do not divide the token width {}", preset.heads, preset.token_width));
    if (preset.head_dim < 1 || preset.blocks < 1 || preset.mlp_width < 1)
        faults.push_back("head_dim, blocks and mlp_width must be above zero");
    if (faults.empty()) return {};
    return fail(Code::kInvalidArgument, "preset {}: {}", preset.name, joined(faults));
}

std::string preset_json(const Preset& preset) {
    Json json{{"name", preset.name}, {"input_size", preset.input_size}};
    json["windows"] = Json::array();
    for (const Window& window : preset.windows)
        json["windows"].push_back({{"level", window.level}, {"width", window.width}});
    json["backbones"] = Json::array();
    for (const BackbonePreset& backbone : preset.backbones)
        json["backbones"].push_back({{"name", backbone.name},
                                     {"width", backbone.width},
                                     {"depth", backbone.depth},
                                     {"train", name_of(kTrainings, backbone.training)}});
    json["global_channels"] = preset.global_channels;
    json["tokens"] = name_of(kTokens, preset.tokens);
    json["token_width"] = preset.token_width;
    json["blocks"] = preset.blocks;
    json["heads"] = preset.heads;
    json["head_dim"] = preset.head_dim;
    json["mlp_width"] = preset.mlp_width;
    json["attention"] = name_of(kAttentions, preset.attention);
    json["reattention"] = name_of(kModes, preset.reattention);
    json["dropout"] = preset.dropout;
    return json.dump(2);
}

Result<Preset> find_preset(const std::string& name) {
    for (const EmbeddedFile& file : scopenode_presets_files())
        if (file.path == "config/presets/" + name + ".json") return parse_preset(std::string(file.bytes));
    std::string all;
    for (const std::string& each : preset_names()) all += (all.empty() ? "" : ", ") + each;
    return fail(Code::kNotFound, "no preset is called '{}'; there are {}", name, all);
}

std::vector<std::string> preset_names() {
    std::vector<std::string> names;
    for (const EmbeddedFile& file : scopenode_presets_files()) {
        const std::string path(file.path);
        const std::size_t begin = path.rfind('/') + 1;
        names.push_back(path.substr(begin, path.rfind('.') - begin));
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace scopenode::ml
