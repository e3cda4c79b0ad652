#include "ml/manifest.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "ml/json_depth.h"

namespace scopenode::ml {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kFormat = 1;
constexpr double kMostAway = 10;  // spreads: no single number decides a distance
constexpr std::uint64_t kMostBackbones = 8;

Json by_label(const std::array<double, kLabelCount>& values) {
    Json json = Json::object();
    for (std::size_t i = 0; i < kLabelCount; ++i) json[std::string(kLabels[i])] = values[i];
    return json;
}

/// Exactly one finite number for each label.
std::array<double, kLabelCount> read_by_label(const Json& json, const char* what) {
    std::array<double, kLabelCount> values{};
    if (!json.is_object() || json.size() != kLabelCount)
        throw std::runtime_error(fmt::format("{} does not hold one number for each label", what));
    for (std::size_t i = 0; i < kLabelCount; ++i) {
        const auto found = json.find(std::string(kLabels[i]));
        if (found == json.end() || !found->is_number() || !std::isfinite(found->get<double>()))
            throw std::runtime_error(fmt::format("{} lacks a number for {}", what, kLabels[i]));
        values[i] = found->get<double>();
    }
    return values;
}

void read_calibration(const Json& json, Manifest::Calibration& calibration) {
    calibration.method = json.at("method").get<std::string>();
    static const std::set<std::string> kMethods{"none", "temperature", "platt"};
    if (!kMethods.count(calibration.method))
        throw std::runtime_error(fmt::format("there is no calibration called '{}'", calibration.method));
    calibration.scale = read_by_label(json.at("scale"), "calibration/scale");
    calibration.offset = read_by_label(json.at("offset"), "calibration/offset");
    calibration.data = json.value("data", "");
    if (std::any_of(calibration.scale.begin(), calibration.scale.end(),
                    [](double scale) { return scale <= 0; }))
        throw std::runtime_error("a calibration scale is not above zero");
}

bool is_sha256(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<WeightsSource> read_sources(const Json& json) {
    std::vector<WeightsSource> sources;
    if (!json.is_array()) throw std::runtime_error("sources is not a list");
    for (const Json& item : json) {
        WeightsSource source;
        source.backbone = item.at("backbone").get<std::string>();
        if (!item.at("number").is_number_unsigned() ||
            item["number"].get<std::uint64_t>() - 1 >= kMostBackbones)
            throw std::runtime_error("sources names a backbone that no preset has");
        source.number = item["number"].get<int>();
        source.file = item.at("file").get<std::string>();
        source.format = item.at("format").get<std::string>();
        source.sha256 = item.at("sha256").get<std::string>();
        source.licence = item.at("licence").get<std::string>();
        source.unused = item.at("unused").get<std::vector<std::string>>();
        if (!is_sha256(source.sha256))
            throw std::runtime_error("a sha256 in sources is not 64 hexadecimal digits");
        sources.push_back(std::move(source));
    }
    return sources;
}

Json sources_json(const std::vector<WeightsSource>& sources) {
    Json list = Json::array();
    for (const WeightsSource& source : sources)
        list.push_back({{"backbone", source.backbone},
                        {"number", source.number},
                        {"file", source.file},
                        {"format", source.format},
                        {"sha256", source.sha256},
                        {"licence", source.licence},
                        {"unused", source.unused}});
    return list;
}

std::vector<float> read_numbers(const Json& json, const char* what) {
    std::vector<float> values;
    if (!json.is_array() || json.empty())
        throw std::runtime_error(fmt::format("{} is no list of numbers", what));
    for (const Json& item : json) {
        if (!item.is_number() || !std::isfinite(item.get<float>()))
            throw std::runtime_error(fmt::format("{} holds something that is no number", what));
        values.push_back(item.get<float>());
    }
    return values;
}

Manifest::TrainingRange read_range(const Json& json) {
    Manifest::TrainingRange range;
    range.mean = read_numbers(json.at("mean"), "training_range/mean");
    range.spread = read_numbers(json.at("spread"), "training_range/spread");
    if (range.mean.size() != range.spread.size())
        throw std::runtime_error("training_range has not as many spreads as means");
    if (std::any_of(range.spread.begin(), range.spread.end(), [](float spread) { return spread <= 0; }))
        throw std::runtime_error("a spread of training_range is not above zero");
    if (!json.at("limit").is_number() || !(json["limit"].get<double>() > 0))
        throw std::runtime_error("the limit of training_range is not above zero");
    range.limit = json["limit"].get<double>();
    return range;
}

Manifest read_manifest(const Json& json) {
    if (json.at("format") != kFormat) throw std::runtime_error("its format is not 1");
    Manifest manifest;
    auto preset = parse_preset(json.at("preset").dump());
    if (!preset) throw std::runtime_error(preset.error().message);
    manifest.preset = std::move(*preset);
    const auto labels = json.at("labels").get<std::vector<std::string>>();
    if (!std::equal(labels.begin(), labels.end(), kLabels.begin(), kLabels.end()))
        throw std::runtime_error("its labels are not ours in our order");
    manifest.name = json.at("name").get<std::string>();
    manifest.version = json.at("version").get<std::string>();
    manifest.demonstration = json.at("demonstration").get<bool>();
    manifest.thresholds = read_by_label(json.at("thresholds"), "thresholds");
    for (const double threshold : manifest.thresholds)
        if (threshold < 0 || threshold > 1) throw std::runtime_error("a threshold lies outside 0 to 1");
    read_calibration(json.at("calibration"), manifest.calibration);
    manifest.data_snapshot = json.value("data_snapshot", "");
    manifest.data_licence = json.value("data_licence", "");
    manifest.parent = json.value("parent", "");
    manifest.weights_sha256 = json.at("weights_sha256").get<std::string>();
    if (!is_sha256(manifest.weights_sha256))
        throw std::runtime_error("weights_sha256 is not 64 hexadecimal digits");
    if (json.contains("training_range")) manifest.range = read_range(json["training_range"]);
    if (manifest.range.known() &&
        manifest.range.mean.size() != 2 * std::size_t(manifest.preset.global_channels))
        throw std::runtime_error("training_range is not as wide as the preset's maps");
    if (json.contains("sources")) manifest.sources = read_sources(json["sources"]);
    return manifest;
}

double sigmoid(double x) {
    return 1 / (1 + std::exp(-x));
}

}  // namespace

Result<Manifest> parse_manifest(const std::string& json) {
    if (nests_too_deep(json))
        return fail(Code::kDamagedModel, "model.json is not a model's manifest: it nests too deep");
    try {
        return read_manifest(Json::parse(json));
    } catch (const std::exception& error) {
        return fail(Code::kDamagedModel, "model.json is not a model's manifest: {}", error.what());
    }
}

std::string manifest_json(const Manifest& manifest) {
    Json json{{"format", kFormat},
              {"name", manifest.name},
              {"version", manifest.version},
              {"demonstration", manifest.demonstration}};
    json["preset"] = Json::parse(preset_json(manifest.preset));
    json["labels"] = std::vector<std::string>(kLabels.begin(), kLabels.end());
    json["thresholds"] = by_label(manifest.thresholds);
    json["calibration"] = {{"method", manifest.calibration.method},
                           {"scale", by_label(manifest.calibration.scale)},
                           {"offset", by_label(manifest.calibration.offset)},
                           {"data", manifest.calibration.data}};
    json["data_snapshot"] = manifest.data_snapshot;
    json["data_licence"] = manifest.data_licence;
    json["parent"] = manifest.parent;
    json["weights_sha256"] = manifest.weights_sha256;
    // Models without one of these keep the bytes, and so the id, that they had before there was such a thing.
    if (manifest.range.known())
        json["training_range"] = {{"limit", manifest.range.limit},
                                  {"mean", manifest.range.mean},
                                  {"spread", manifest.range.spread}};
    if (!manifest.sources.empty()) json["sources"] = sources_json(manifest.sources);
    return json.dump(2) + "\n";
}

std::string ModelFiles::manifest_sha256() const {
    return sha256_hex(manifest_json);
}

Result<ModelFiles> read_model_folder(const std::filesystem::path& folder) {
    ModelFiles files;
    files.where = folder.string();
    SCOPENODE_ASSIGN(files.manifest_json, read_file(folder / "model.json"));
    SCOPENODE_ASSIGN(files.weights, read_file(folder / "weights.safetensors"));
    if (auto metrics = read_file(folder / "metrics.json")) files.metrics_json = std::move(*metrics);
    if (auto card = read_file(folder / "card.md")) files.card = std::move(*card);
    return files;
}

Status write_model_folder(const std::filesystem::path& folder, const ModelFiles& files) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fail(Code::kIo, "cannot make the folder {}: {}", folder.string(), error.message());
    FileSystem& disk = real_files();
    SCOPENODE_TRY(write_file(disk, folder / "weights.safetensors", files.weights));
    if (!files.metrics_json.empty())
        SCOPENODE_TRY(write_file(disk, folder / "metrics.json", files.metrics_json));
    if (!files.card.empty()) SCOPENODE_TRY(write_file(disk, folder / "card.md", files.card));
    // Last: a folder with a manifest is complete.
    return write_file(disk, folder / "model.json", files.manifest_json);
}

double distance_from(const Manifest::TrainingRange& range, const float* summary) {
    double sum = 0;
    for (std::size_t i = 0; i < range.mean.size(); ++i) {
        const double away = (double(summary[i]) - double(range.mean[i])) / double(range.spread[i]);
        sum += std::min(away * away, kMostAway * kMostAway);
    }
    return std::sqrt(sum / double(std::max<std::size_t>(range.mean.size(), 1)));
}

std::optional<double> study_distance(std::span<const std::optional<double>> slices) {
    std::vector<double> known;
    for (const auto& distance : slices)
        if (distance) known.push_back(*distance);
    if (known.empty() || known.size() * 2 < slices.size()) return std::nullopt;
    std::sort(known.begin(), known.end());
    return (known[known.size() / 2] + known[(known.size() - 1) / 2]) / 2;
}

Scores calibrate(const Manifest& manifest, const Scores& study_scores) {
    const auto& calibration = manifest.calibration;
    if (calibration.method == "none") return study_scores;
    Scores calibrated{};
    for (std::size_t i = 0; i < kLabelCount; ++i) {
        const double p = std::clamp(double(study_scores[i]), 1e-7, 1 - 1e-7);
        calibrated[i] = float(sigmoid(calibration.scale[i] * std::log(p / (1 - p)) + calibration.offset[i]));
    }
    return calibrated;
}

}  // namespace scopenode::ml
