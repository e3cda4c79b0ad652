// scopenode-ml: measures and trains where there are no DICOM libraries (SCOPENODE_ML_ONLY), on phantoms or
// shards.
#include <charconv>
#include <cstdio>
#include <map>
#include <vector>

#include "ml/bench.h"
#include "ml/phantom/training_set.h"
#include "ml/shards.h"
#include "ml/weights/untrained.h"

namespace {

using namespace scopenode;
using namespace scopenode::ml;

constexpr const char* kUsage =
    "usage: scopenode-ml bench infer --preset P [--input-size N] [--count N] [--batch N] [--rounds N] "
    "[--device D]\n"
    "       scopenode-ml bench train --preset P [--input-size N] [--count N] [--steps N] [--learning-rate "
    "R]\n"
    "       scopenode-ml train run --preset P --out DIR [--phantoms N | --shards DIR] [--epochs N] "
    "[--batch N] [--precision fp32|bf16] [--data-licence TEXT] [--resume]\n"
    "       each: [--threads N] [--seed N] [--device auto|cpu|cuda:N]\n";

/// `--key value` pairs behind two words.
class Words {
  public:
    static Result<Words> parse(const std::vector<std::string>& all) {
        Words words;
        if (all.size() < 2) return fail(Code::kInvalidArgument, "two words are needed, such as bench infer");
        words.command_ = all[0] + " " + all[1];
        for (std::size_t i = 2; i < all.size(); ++i) {
            if (all[i].rfind("--", 0) != 0)
                return fail(Code::kInvalidArgument, "'{}' is not an option", all[i]);
            const std::string key = all[i].substr(2);
            const bool flag = key == "resume";
            if (!flag && i + 1 == all.size()) return fail(Code::kInvalidArgument, "--{} needs a value", key);
            words.values_[key] = flag ? "1" : all[++i];
        }
        return words;
    }
    const std::string& command() const { return command_; }
    std::string text(const std::string& key, const std::string& otherwise) {
        const auto found = values_.extract(key);
        return found.empty() ? otherwise : found.mapped();
    }
    bool has(const std::string& key) const { return values_.count(key) > 0; }
    template <class T>
    Result<T> number(const std::string& key, T otherwise, T least) {
        const auto found = values_.extract(key);
        if (found.empty()) return otherwise;
        T value{};
        const std::string& digits = found.mapped();
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc() || end != digits.data() + digits.size() || value < least)
            return fail(Code::kInvalidArgument, "--{} must be a number of {} or more, not '{}'", key, least,
                        digits);
        return value;
    }
    Status nothing_left() const {
        if (values_.empty()) return {};
        return fail(Code::kInvalidArgument, "{} has no option --{}", command_, values_.begin()->first);
    }

  private:
    std::string command_;
    std::map<std::string, std::string> values_;
};

Result<Preset> preset_of(Words& words) {
    SCOPENODE_ASSIGN(auto preset, find_preset(words.text("preset", "efficient_scopeformer")));
    SCOPENODE_ASSIGN(const int size, words.number("input-size", 0, 32));
    if (size > 0) preset = resized(preset, size);
    SCOPENODE_TRY(check_preset(preset));
    return preset;
}

Result<std::string> bench_infer(Words& words) {
    SCOPENODE_ASSIGN(const auto preset, preset_of(words));
    ModelOptions options;
    options.device = words.text("device", "auto");
    SCOPENODE_ASSIGN(options.threads, words.number("threads", 0, 0));
    SCOPENODE_ASSIGN(options.batch, words.number("batch", 8, 1));
    SCOPENODE_ASSIGN(const int rounds, words.number("rounds", 5, 1));
    SCOPENODE_ASSIGN(const int count, words.number("count", 8, 1));
    SCOPENODE_ASSIGN(const auto seed, words.number<std::uint64_t>("seed", 1, 0));
    SCOPENODE_TRY(words.nothing_left());
    SCOPENODE_ASSIGN(const auto files, random_model(preset, seed));
    SCOPENODE_ASSIGN(const auto slices, bench_slices(count));
    return inference_report(files, options, slices.images, rounds);
}

Result<std::string> bench_train(Words& words) {
    FineTuneOptions options;
    SCOPENODE_ASSIGN(options.preset, preset_of(words));
    options.device = words.text("device", "auto");
    SCOPENODE_ASSIGN(options.threads, words.number("threads", 0, 0));
    SCOPENODE_ASSIGN(options.steps, words.number("steps", 20, 1));
    SCOPENODE_ASSIGN(options.learning_rate, words.number("learning-rate", 1e-4, 0.0));
    SCOPENODE_ASSIGN(options.seed, words.number<std::uint64_t>("seed", 1, 0));
    SCOPENODE_ASSIGN(const int count, words.number("count", 4, 2));
    SCOPENODE_TRY(words.nothing_left());
    SCOPENODE_ASSIGN(const auto slices, bench_slices(count));
    return fine_tuning_report(options, slices.images, slices.labels);
}

Result<std::string> train_run(Words& words) {
    TrainOptions options;
    SCOPENODE_ASSIGN(options.preset, preset_of(words));
    options.out = words.text("out", "");
    if (options.out.empty())
        return fail(Code::kInvalidArgument, "train run needs --out, a folder for the model");
    options.resume = !words.text("resume", "").empty();
    options.device = words.text("device", "auto");
    options.name = options.preset.name + " (phantoms)";
    options.demonstration = true;
    SCOPENODE_ASSIGN(options.epochs, words.number("epochs", 6, 1));
    SCOPENODE_ASSIGN(options.batch, words.number("batch", 16, 1));
    SCOPENODE_ASSIGN(options.threads, words.number("threads", 0, 0));
    SCOPENODE_ASSIGN(options.learning_rate, words.number("learning-rate", 2e-3, 0.0));
    SCOPENODE_ASSIGN(options.seed, words.number<std::uint64_t>("seed", 1, 0));
    const std::string shards = words.text("shards", "");
    if (words.has("phantoms") && !shards.empty())
        return fail(Code::kInvalidArgument, "--phantoms and --shards exclude each other");
    SCOPENODE_ASSIGN(const int studies, words.number("phantoms", 40, 2));
    options.precision = words.text("precision", "fp32");
    options.data_licence = words.text("data-licence", "");
    SCOPENODE_TRY(words.nothing_left());
    std::unique_ptr<TrainingSet> data;
    if (shards.empty()) {
        data = phantom_training_set({}, studies);
    } else {
        SCOPENODE_ASSIGN(data, ShardSet::open(shards));
        options.name = options.preset.name;
        options.demonstration = false;
    }
    SCOPENODE_TRY(train(options, *data, [](const EpochReport& r) {
        fmt::print("epoch {}: loss {:.4f}, validation loss {:.4f}, {:.1f} slices/s, any {:.3f}\n", r.epoch,
                   r.train_loss, r.validation_loss, r.slices_per_second, r.validation_auroc[0]);
        std::fflush(stdout);
    }));
    return "model in " + options.out.string();
}

Result<std::string> run(const std::vector<std::string>& all) {
    SCOPENODE_ASSIGN(auto words, Words::parse(all));
    if (words.command() == "bench infer") return bench_infer(words);
    if (words.command() == "bench train") return bench_train(words);
    if (words.command() == "train run") return train_run(words);
    return fail(Code::kInvalidArgument, "there is no command '{}'", words.command());
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (!words.empty() && (words[0] == "--help" || words[0] == "-h"))
        return std::fputs(kUsage, stdout) < 0 ? 1 : 0;
    const auto done = guard(Code::kInternal, [&] { return run(words); });
    if (done) {
        fmt::print("{}\n", *done);
        return 0;
    }
    fmt::print(stderr, "scopenode-ml: {}; see scopenode-ml --help\n", done.error().message);
    return done.error().code == Code::kInvalidArgument ? 2 : 1;
}
