#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "ml/labels.h"
#include "ml/preset.h"

namespace scopenode::ml {

/// Where the imported weights of one backbone come from.
struct WeightsSource {
    std::string backbone;  ///< "xception"
    int number = 1;        ///< place in the preset's list, from 1
    std::string file, format, sha256;
    std::string licence;              ///< as stated by who imported, or "not stated"
    std::vector<std::string> unused;  ///< tensors of the file that nothing took
};

/// How data_snapshot of a model begins whose encoder and head have random weights.
inline constexpr const char* kNotTrained = "not trained: encoder and head have random weights";

/// model.json of a model folder. The model's id is the start (12 hex digits) of the sha256 of its bytes.
struct Manifest {
    Preset preset;
    std::string name;  ///< for reports: "Scopeformer nano (demonstration)"
    std::string version = "1";
    bool demonstration = false;  ///< never for patients; said in every result
    std::array<double, kLabelCount> thresholds{0.5, 0.5, 0.5,
                                               0.5, 0.5, 0.5};  ///< on calibrated study probabilities
    /// Platt per label: calibrated = sigmoid(scale * logit(p) + offset), applied to study scores.
    struct Calibration {
        std::string method = "none";  ///< none, temperature, platt
        std::array<double, kLabelCount> scale{1, 1, 1, 1, 1, 1};
        std::array<double, kLabelCount> offset{};
        std::string data;  ///< what it was fitted on
    } calibration;
    /// What the slices that it learnt from look like to its CNNs.
    struct TrainingRange {
        std::vector<float> mean, spread;  ///< of each number of Scopeformer::summary(); empty: not known
        double limit = 0;                 ///< a study whose distance is larger is unlike the training data
        bool known() const { return !mean.empty(); }
    } range;
    std::string data_snapshot;  ///< what it was trained on, in words
    std::string data_licence;
    std::string parent;  ///< id of the model it was fine-tuned from, or ""
    std::string weights_sha256;
    std::vector<WeightsSource> sources;  ///< of imported weights; most models have none

    bool trained() const { return data_snapshot.rfind("not trained", 0) != 0; }
};
Result<Manifest> parse_manifest(const std::string& json);
std::string manifest_json(const Manifest& manifest);

/// The bytes of a model folder, from disk or built into the program.
struct ModelFiles {
    std::string manifest_json;
    std::string weights;       ///< safetensors
    std::string metrics_json;  ///< may be empty
    std::string card;          ///< may be empty
    std::string where;         ///< for messages
    std::string manifest_sha256() const;
    std::string id() const { return manifest_sha256().substr(0, 12); }
};
Result<ModelFiles> read_model_folder(const std::filesystem::path& folder);
Status write_model_folder(const std::filesystem::path& folder, const ModelFiles& files);

/// Root mean square of a slice's distances from the mean, in spreads: about 1 for a slice of the training data.
/// `summary` has range.mean.size() numbers.
double distance_from(const Manifest::TrainingRange& range, const float* summary);
/// That of a study: the median of its slices; nothing when fewer than half of them have one.
std::optional<double> study_distance(std::span<const std::optional<double>> slices);

Scores calibrate(const Manifest& manifest, const Scores& study_scores);

}  // namespace scopenode::ml
