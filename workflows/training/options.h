#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"

namespace scopenode::workflows {

struct Champion;

/// What a person asked of a retraining job; what is absent is taken from the settings and the champion.
struct TrainOrder {
    std::string preset;  ///< "" that of the model it builds on
    std::string from;    ///< id of that model; "" the champion
    std::string depth;
    std::optional<int> epochs;
    std::optional<double> learning_rate;
    std::optional<std::uint64_t> seed;
    std::string reason;    ///< "command", or the rule that started it
    int studies_then = 0;  ///< labelled when a rule started it
};
std::string order_json(const TrainOrder& order);
Result<TrainOrder> parse_order(const std::string& json);

/// Everything decided: `auto` depth by the number of studies to learn from, see docs/training.md.
TrainOrder decided(TrainOrder order, const config::Settings::Training& training, const Champion& base,
                   int learn_studies);
std::string in_words(const TrainOrder& order);
/// The options of `scopenode train run`, all but data, preset and folders.
std::vector<std::string> arguments(const TrainOrder& decided, const config::Settings::Training& training,
                                   const Champion& base, const std::filesystem::path& node);

}  // namespace scopenode::workflows
