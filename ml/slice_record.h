#pragma once
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "ml/labels.h"

namespace scopenode::ml {

/// What a patient's slices are for; judging: validation and calibration.
enum class Part { kLearn, kJudge };

/// What is known of a slice besides its pixels; a missing label is unknown, never negative.
struct SliceRecord {
    std::array<std::optional<bool>, kLabelCount> labels;
    std::string study, patient;
    double z_mm = 0;
    std::optional<Part> part = {};
    bool rehearsal = false;
    double weight = 1;

    /// At least one finding is known to be there.
    bool positive() const;
    /// A record without one known label teaches nothing.
    bool labelled() const;
};

nlohmann::json record_json(const SliceRecord& record);
/// Throws what the JSON library throws when it is none.
SliceRecord record_of(const nlohmann::json& json);

}  // namespace scopenode::ml
