#include "workflows/training/options.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "workflows/training/retraining.h"

namespace scopenode::workflows {
namespace {

using nlohmann::json;

// A narrow network on a drawn scanner: figures in docs/measured.md. Deeper needs more studies.
constexpr int kStudiesForHead = 20, kStudiesForEncoder = 30, kStudiesForAll = 40;
constexpr double kCnnRate = 0.3;
constexpr int kPatience = 3;
constexpr double kDistillation = 0.5;  // stays near what the champion says

std::string depth_for(int learn_studies) {
    if (learn_studies >= kStudiesForAll) return "all";
    if (learn_studies >= kStudiesForEncoder) return "encoder";
    return learn_studies >= kStudiesForHead ? "head" : "calibration";
}

/// "1" -> "2"; a version that is no number gets ".1".
std::string next_version(const std::string& version) {
    int number = 0;
    const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), number);
    if (error == std::errc() && end == version.data() + version.size()) return std::to_string(number + 1);
    return version + ".1";
}

}  // namespace

std::string order_json(const TrainOrder& order) {
    json out = {{"reason", order.reason}};
    if (!order.preset.empty()) out["preset"] = order.preset;
    if (!order.from.empty()) out["from"] = order.from;
    if (!order.depth.empty()) out["depth"] = order.depth;
    if (order.epochs) out["epochs"] = *order.epochs;
    if (order.learning_rate) out["learning_rate"] = *order.learning_rate;
    if (order.seed) out["seed"] = *order.seed;
    out["studies_then"] = order.studies_then;
    return out.dump();
}

Result<TrainOrder> parse_order(const std::string& text) {
    return guard(Code::kInternal, [&]() -> Result<TrainOrder> {
        const json from = json::parse(text);
        TrainOrder order;
        order.preset = from.value("preset", "");
        order.from = from.value("from", "");
        order.depth = from.value("depth", "");
        order.reason = from.value("reason", "");
        order.studies_then = from.value("studies_then", 0);
        if (from.contains("epochs")) order.epochs = from["epochs"].get<int>();
        if (from.contains("learning_rate")) order.learning_rate = from["learning_rate"].get<double>();
        if (from.contains("seed")) order.seed = from["seed"].get<std::uint64_t>();
        return order;
    });
}

TrainOrder decided(TrainOrder order, const config::Settings::Training& training, const Champion& base,
                   int learn_studies) {
    if (order.preset.empty()) order.preset = base.preset;
    if (order.depth.empty()) order.depth = training.depth;
    if (order.depth == "auto") order.depth = depth_for(learn_studies);
    if (order.preset != base.preset) order.depth = "all";  // nothing to build on
    if (!order.epochs) order.epochs = training.epochs;
    if (!order.learning_rate) order.learning_rate = training.learning_rate;
    if (!order.seed) order.seed = 1;
    return order;
}

std::string in_words(const TrainOrder& order) {
    return fmt::format("preset {}, depth {}, {} epochs, learning rate {}, seed {}", order.preset, order.depth,
                       *order.epochs, *order.learning_rate, *order.seed);
}

std::vector<std::string> arguments(const TrainOrder& order, const config::Settings::Training& training,
                                   const Champion& base, const std::filesystem::path& node) {
    const bool same = order.preset == base.preset;
    std::vector<std::string> words{"--depth",
                                   order.depth,
                                   "--epochs",
                                   std::to_string(*order.epochs),
                                   "--learning-rate",
                                   fmt::format("{}", *order.learning_rate),
                                   "--seed",
                                   std::to_string(*order.seed),
                                   "--batch",
                                   std::to_string(training.batch),
                                   "--threads",
                                   std::to_string(training.threads),
                                   "--device",
                                   training.device,
                                   "--rehearsal-share",
                                   fmt::format("{}", training.rehearsal_share),
                                   "--patience",
                                   std::to_string(kPatience),
                                   "--validation-share",
                                   fmt::format("{}", training.judge_share),
                                   "--name",
                                   base.name,
                                   "--version",
                                   next_version(base.version),
                                   "--data-licence",
                                   "the site's own labels"};
    if (same) {
        words.insert(words.end(),
                     {"--from", (node / base.folder).string(), "--distillation",
                      fmt::format("{}", kDistillation), "--cnn-rate", fmt::format("{}", kCnnRate)});
    }
    if (base.demonstration) words.push_back("--demonstration");
    return words;
}

}  // namespace scopenode::workflows
