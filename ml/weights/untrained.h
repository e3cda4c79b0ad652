#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ml/manifest.h"
#include "ml/weights/import.h"

namespace scopenode::ml {

struct UntrainedOptions {
    Preset preset;
    std::string backbone;
    int copy = 0;         ///< which of several backbones of that name, from 1; 0: all of them
    std::string licence;  ///< of the weights, as stated; "": not stated
    std::uint64_t seed = 1;
};

/// A model folder's bytes with random weights only.
Result<ModelFiles> random_model(const Preset& preset, std::uint64_t seed);

/// The places (0-based) in the preset's list that weights of `backbone` go to. Refuses a backbone that the
/// preset lacks or has narrowed, and a copy that it does not have.
Result<std::vector<std::size_t>> places_of(const Preset& preset, const std::string& backbone, int copy);

/// A model folder that is not trained: random encoder and head, the imported backbone. `before` is such a
/// model of the same preset, whose other backbones stay; a trained model or one of another preset is refused.
Result<ModelFiles> untrained_model(const UntrainedOptions& options, const ImportedWeights& imported,
                                   const std::optional<ModelFiles>& before);

/// Refuses what untrained_model() would refuse, before any work is done.
Status check_before(const UntrainedOptions& options, const ModelFiles& before);

}  // namespace scopenode::ml
