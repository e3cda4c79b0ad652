#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/core/files.h"
#include "ml/model.h"
#include "ml/safetensors.h"
#include "tests/unit/ml/trainer_discs.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;
using namespace scopenode::test;
using nlohmann::json;

namespace {

/// A model of the discs, made once.
const ModelFiles& discs_model() {
    static const ModelFiles files = [] {
        const TemporaryFolder folder;
        REQUIRE(train(options_for(folder.path() / "m", 3), Discs(), nullptr));
        return read_model_folder(folder.path() / "m").value();
    }();
    return files;
}

TrainOptions tuning(const std::filesystem::path& out, int epochs, Depth depth) {
    auto options = options_for(out, epochs);
    options.from = discs_model();
    options.depth = depth;
    options.learning_rate = 1e-3;
    return options;
}

/// Largest change of each tensor between two sets of weights.
std::map<std::string, double> moved(const std::string& before, const std::string& after) {
    std::map<std::string, double> out;
    const auto a = parse_safetensors(before, "before"), b = parse_safetensors(after, "after");
    REQUIRE(a);
    REQUIRE(b);
    REQUIRE(a->size() == b->size());
    for (std::size_t i = 0; i < a->size(); ++i) {
        REQUIRE((*a)[i].name == (*b)[i].name);
        std::vector<float> x((*a)[i].bytes.size() / 4), y(x.size());
        std::memcpy(x.data(), (*a)[i].bytes.data(), x.size() * 4);
        std::memcpy(y.data(), (*b)[i].bytes.data(), y.size() * 4);
        double& most = out[(*a)[i].name];
        for (std::size_t n = 0; n < x.size(); ++n)
            most = std::max(most, std::abs(double(x[n]) - double(y[n])));
    }
    return out;
}

/// The most that any tensor moved whose name begins so.
double most(const std::map<std::string, double>& changes, const std::string& prefix) {
    double out = 0;
    for (const auto& [name, change] : changes)
        if (name.rfind(prefix, 0) == 0) out = std::max(out, change);
    return out;
}

json metrics_of(const std::filesystem::path& folder) {
    const auto files = read_model_folder(folder);
    REQUIRE(files);
    return json::parse(files->metrics_json);
}

std::string refusal(const TrainOptions& options, const TrainingSet& data = Discs()) {
    const auto refused = train(options, data, nullptr);
    REQUIRE(!refused);
    CHECK(!std::filesystem::exists(options.out / "model.json"));
    return refused.error().message;
}

/// Half of the patients are earlier ones and their labels weaker.
Status half_earlier(std::size_t index, LabelledSlice& slice) {
    slice.rehearsal = index % 4 < 2;
    slice.weight = slice.rehearsal ? 0.5 : 1;
    slice.part = index % 16 < 4 ? Part::kJudge : Part::kLearn;
    return {};
}

}  // namespace

TEST_CASE("each depth moves its parts and leaves every bit of the others") {
    const TemporaryFolder folder;
    for (const Depth depth : {Depth::kHead, Depth::kEncoder, Depth::kAll}) {
        CAPTURE(std::string(word(depth)));
        const auto options = tuning(folder.path() / word(depth), 1, depth);
        REQUIRE(train(options, Discs(), nullptr));
        const auto changes = moved(discs_model().weights, weights_of(options.out));
        CHECK(most(changes, "head.") > 0);
        CHECK((most(changes, "encoder.") > 0) == (depth != Depth::kHead));
        CHECK((most(changes, "projections.") > 0) == (depth != Depth::kHead));
        CHECK((most(changes, "backbones.") > 0) == (depth == Depth::kAll));
    }
}

TEST_CASE("depth calibration keeps the weights byte for byte and fits the rest again") {
    const TemporaryFolder folder;
    // Every learning patient would do: nothing is learnt. The judged ones have their labels turned round.
    const Discs turned(
        [](std::size_t, LabelledSlice& slice) -> Status {
            slice.part = Part::kJudge;
            slice.labels[5] = !*slice.labels[5];
            return {};
        },
        "turned discs");
    auto options = tuning(folder.path() / "m", 4, Depth::kCalibration);
    options.version = "7";
    int epochs = 0;
    REQUIRE(train(options, turned, [&](const EpochReport&) { ++epochs; }));
    CHECK(epochs == 0);
    CHECK(weights_of(options.out) == discs_model().weights);
    const auto made = parse_manifest(read_model_folder(options.out)->manifest_json);
    const auto before = parse_manifest(discs_model().manifest_json);
    CHECK(made->weights_sha256 == before->weights_sha256);
    CHECK(made->parent == discs_model().id());
    CHECK(made->version == "7");
    CHECK(made->data_snapshot == "turned discs");
    CHECK(made->calibration.data.find("48 validation studies") != std::string::npos);
    CHECK(made->calibration.offset[0] != before->calibration.offset[0]);
    CHECK(metrics_of(options.out)["epochs"].empty());
    CHECK(metrics_of(options.out)["validation"]["studies"] == 48);

    options.out = folder.path() / "none";
    options.validation_share = 0;
    CHECK(refusal(options).find("no patient to judge by") != std::string::npos);
}

TEST_CASE("a lower rate for the CNNs moves them less and nothing else less") {
    const TemporaryFolder folder;
    const auto change = [&](double rate) {
        auto options = tuning(folder.path() / std::to_string(rate), 1, Depth::kAll);
        options.cnn_rate = rate;
        REQUIRE(train(options, Discs(), nullptr));
        return moved(discs_model().weights, weights_of(options.out));
    };
    const auto slow = change(0.01), fast = change(1);
    double slow_weights = 0, fast_weights = 0;
    for (const auto& [name, most] : fast)
        if (name.rfind("backbones.", 0) == 0 && name.find("running") == std::string::npos) {
            fast_weights = std::max(fast_weights, most);
            slow_weights = std::max(slow_weights, slow.at(name));
        }
    CHECK(slow_weights > 0);
    CHECK(slow_weights < 0.1 * fast_weights);
    CHECK(most(slow, "head.") > 0.3 * most(fast, "head."));
}

TEST_CASE("distillation holds the model near the one that it began with") {
    const TemporaryFolder folder;
    const Discs turned([](std::size_t, LabelledSlice& slice) -> Status {
        slice.labels[0] = !*slice.labels[0];
        return {};
    });
    std::vector<HuImage> images;
    for (const std::size_t index : {0, 2, 5, 9, 40, 70}) images.push_back(Discs().load(index)->image);
    const auto before = Model::load(discs_model(), {"cpu", 1, 6}).value()->infer(images).value();
    const auto distance = [&](double distillation) {
        auto options = tuning(folder.path() / std::to_string(distillation), 3, Depth::kAll);
        options.distillation = distillation;
        options.learning_rate = 5e-3;
        REQUIRE(train(options, turned, nullptr));
        const auto files = read_model_folder(options.out);
        const auto after = Model::load(*files, {"cpu", 1, 6}).value()->infer(images).value();
        double sum = 0;
        for (std::size_t i = 0; i < images.size(); ++i)
            sum += std::abs(double(after[i].scores[0] - before[i].scores[0]));
        return sum / double(images.size());
    };
    const double free = distance(0), held = distance(50);
    CHECK(free > 0.05);
    CHECK(held < 0.5 * free);
}

TEST_CASE("a model knows what it was trained on and how far other pictures are from it") {
    const auto manifest = parse_manifest(discs_model().manifest_json).value();
    REQUIRE(manifest.range.known());
    CHECK(manifest.range.mean.size() == 32);
    const auto model = Model::load(discs_model(), {"cpu", 1, 6}).value();
    const auto distance = [&](const std::function<void(HuImage&)>& change) {
        std::vector<HuImage> images;
        for (std::size_t i = 0; i < 12; ++i) {
            images.push_back(Discs().load(i)->image);
            change(images.back());
        }
        std::vector<std::optional<double>> slices;
        const auto scored = model->infer(images).value();
        for (const SliceScores& slice : scored) slices.push_back(slice.distance);
        return study_distance(slices).value();
    };
    const double same = distance([](HuImage&) {});
    CHECK(same > 0.3);
    CHECK(same < manifest.range.limit);
    CHECK(distance([](HuImage& image) {
              for (float& hu : image.hu) hu += 1;
          }) < manifest.range.limit);
    // Stripes of bone, and values turned round.
    CHECK(distance([](HuImage& image) {
              for (std::size_t i = 0; i < image.hu.size(); ++i)
                  if (i / 80 % 6 < 3) image.hu[i] = 1000;
          }) > manifest.range.limit);
    CHECK(distance([](HuImage& image) {
              for (float& hu : image.hu) hu = -hu;
          }) > manifest.range.limit);

    // What did not learn anew keeps its range; what learnt anew gets another one.
    const TemporaryFolder folder;
    const auto range_after = [&](Depth depth) {
        const auto options = tuning(folder.path() / std::string(word(depth)), 1, depth);
        REQUIRE(train(options, Discs(), nullptr));
        return parse_manifest(read_model_folder(options.out)->manifest_json)->range;
    };
    CHECK(range_after(Depth::kCalibration).mean == manifest.range.mean);
    CHECK(range_after(Depth::kAll).mean != manifest.range.mean);
}

TEST_CASE("patience ends a run that gets no better and keeps its best average") {
    const TemporaryFolder folder;
    // What is judged is the opposite of what is learnt, so that judging gets worse after a while.
    const Discs contrary([](std::size_t index, LabelledSlice& slice) -> Status {
        slice.part = index % 8 < 4 ? Part::kJudge : Part::kLearn;
        if (slice.part == Part::kJudge) slice.labels[0] = !*slice.labels[0];
        return {};
    });
    auto options = tuning(folder.path() / "m", 40, Depth::kHead);
    options.learning_rate = 0.02;
    options.patience = 2;
    std::vector<EpochReport> reports;
    REQUIRE(train(options, contrary, [&](const EpochReport& r) { reports.push_back(r); }));
    const auto best = std::min_element(reports.begin(), reports.end(), [](const auto& a, const auto& b) {
        return a.validation_loss < b.validation_loss;
    });
    CHECK(reports.size() < 40);
    CHECK(reports.end() - best == 3);
    const json metrics = metrics_of(options.out);
    CHECK(metrics["training"]["kept_epoch"] == best->epoch);
    // At this depth no norm is taken again, so the model is the average that was judged.
    const auto batches = metrics["validation"]["slice_figures"]["weighted_log_loss"].get<double>();
    CHECK(batches == doctest::Approx(best->validation_loss).epsilon(0.02));
    CHECK(std::abs(batches - best->validation_loss) < std::abs(batches - reports.back().validation_loss));
}

TEST_CASE("a run that is stopped and resumed has the curve and the bytes of an unbroken one") {
    const TemporaryFolder folder;
    const Discs data(half_earlier, "half earlier");
    const auto options_to = [&](const char* out) {
        auto options = tuning(folder.path() / out, 4, Depth::kAll);
        options.cnn_rate = 0.5;
        options.distillation = 0.5;
        options.rehearsal_share = 0.4;
        options.natural_epochs = 1;
        options.patience = 3;
        return options;
    };
    std::vector<EpochReport> whole, broken;
    REQUIRE(train(options_to("whole"), data, [&](const EpochReport& r) { whole.push_back(r); }));
    auto options = options_to("broken");
    for (int stops = 0; stops < 2; ++stops) {
        const auto stopped = train(options, data, [&](const EpochReport& r) {
            broken.push_back(r);
            throw std::runtime_error("stopped");
        });
        REQUIRE(!stopped);
        CHECK(stopped.error().message.find("stopped") != std::string::npos);
        options.resume = true;
    }
    REQUIRE(train(options, data, [&](const EpochReport& r) { broken.push_back(r); }));
    REQUIRE(broken.size() == whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
        CAPTURE(i);
        CHECK(broken[i].train_loss == whole[i].train_loss);
        CHECK(broken[i].validation_loss == whole[i].validation_loss);
        CHECK(broken[i].slices == whole[i].slices);
    }
    CHECK(weights_of(options.out) == weights_of(folder.path() / "whole"));
    for (const auto& r : whole) {
        CHECK(r.slices > 0);
        CHECK(r.waiting_share >= 0);
        CHECK(r.waiting_share <= 1);
        CHECK(r.peak_memory_mb > 1);
    }
}

TEST_CASE("a checkpoint of another tuning is refused") {
    const TemporaryFolder folder;
    const auto first = tuning(folder.path() / "m", 2, Depth::kEncoder);
    const auto stop = [](const EpochReport&) { throw std::runtime_error("stopped"); };
    REQUIRE(!train(first, Discs(), stop));
    const auto refuses = [&](auto change, const TrainingSet& data) {
        auto other = first;
        other.resume = true;
        change(other);
        const auto refused = train(other, data, nullptr);
        REQUIRE(!refused);
        CHECK(refused.error().code == Code::kConflict);
    };
    refuses([](TrainOptions& o) { o.depth = Depth::kHead; }, Discs());
    refuses([](TrainOptions& o) { o.cnn_rate = 0.5; }, Discs());
    refuses([](TrainOptions& o) { o.distillation = 0.5; }, Discs());
    refuses([](TrainOptions& o) { o.rehearsal_share = 0.5; }, Discs());
    refuses([](TrainOptions& o) { o.patience = 1; }, Discs());
    refuses([](TrainOptions& o) { o.natural_epochs = 1; }, Discs());
    std::filesystem::remove(first.out / "slices.json");
    refuses([](TrainOptions&) {}, Discs(half_earlier));
    auto same = first;
    same.resume = true;
    std::filesystem::remove(first.out / "slices.json");
    CHECK(train(same, Discs(), nullptr));
}

TEST_CASE("slices that cannot be read are left out and listed and too many of them end the run") {
    const TemporaryFolder folder;
    const auto failing = [](std::size_t every) {
        return Discs([every](std::size_t index, LabelledSlice&) -> Status {
            if (index % every == 5 % every) return fail(Code::kIo, "slice {} is gone", index);
            return {};
        });
    };
    auto options = options_for(folder.path() / "few", 1);
    REQUIRE(train(options, failing(20), nullptr));
    const json metrics = metrics_of(options.out);
    CHECK(metrics["skipped"] == json{"slice 5 is gone", "slice 25 is gone", "slice 45 is gone",
                                     "slice 65 is gone", "slice 85 is gone"});
    CHECK(metrics["training"]["slices"].get<int>() + metrics["validation"]["slices"].get<int>() == 91);
    CHECK(read_model_folder(options.out)->card.find("5 slices could not be read") != std::string::npos);

    options.out = folder.path() / "many";
    CHECK(refusal(options, failing(8)).rfind("more than a tenth of 96 slices cannot be read", 0) == 0);
    options.out = folder.path() / "all";
    CHECK(refusal(options, failing(1)).find("cannot be read") != std::string::npos);
}

TEST_CASE("what the set itself could not read counts among the unreadable") {
    class Gaps final : public TrainingSet {
      public:
        explicit Gaps(std::size_t gaps) : gaps_(gaps) {}
        std::size_t size() const override { return 96; }
        std::string description() const override { return "gaps"; }
        Result<LabelledSlice> load(std::size_t index) const override { return Discs().load(index); }
        std::vector<std::string> skipped() const override {
            return std::vector<std::string>(gaps_, "a file is damaged");
        }

      private:
        std::size_t gaps_;
    };
    const TemporaryFolder folder;
    auto options = options_for(folder.path() / "few", 1);
    REQUIRE(train(options, Gaps(2), nullptr));
    CHECK(metrics_of(options.out)["skipped"].size() == 2);
    options.out = folder.path() / "many";
    CHECK(refusal(options, Gaps(20)).find("a file is damaged") != std::string::npos);
}

TEST_CASE("a run whose set puts a patient on both sides does not start") {
    const TemporaryFolder folder;
    const Discs torn([](std::size_t index, LabelledSlice& slice) -> Status {
        slice.part = index == 41 ? Part::kJudge : Part::kLearn;
        return {};
    });
    CHECK(refusal(options_for(folder.path() / "m", 1), torn).find("patient patient 20 has") !=
          std::string::npos);
}

TEST_CASE("what learns from a demonstration model stays one") {
    const TemporaryFolder folder;
    ModelFiles files = discs_model();
    Manifest manifest = parse_manifest(files.manifest_json).value();
    CHECK_FALSE(manifest.demonstration);
    manifest.demonstration = true;
    files.manifest_json = manifest_json(manifest);
    auto options = tuning(folder.path() / "m", 1, Depth::kHead);
    options.from = files;
    options.demonstration = false;
    REQUIRE(train(options, Discs(), nullptr));
    CHECK(parse_manifest(read_model_folder(options.out)->manifest_json)->demonstration);
}

TEST_CASE("bfloat16 arithmetic learns what 32-bit floats learn and goes on after a break") {
    const TemporaryFolder folder;
    const auto options = [&](const char* name, const char* precision) {
        auto o = options_for(folder.path() / name, 4);
        o.precision = precision;
        return o;
    };
    std::map<std::string, std::vector<EpochReport>> curves;
    for (const char* precision : {"fp32", "bf16"})
        REQUIRE(train(options(precision, precision), Discs(),
                      [&](const EpochReport& report) { curves[precision].push_back(report); }));
    const auto &exact = curves["fp32"], &coarse = curves["bf16"];
    CHECK(weights_of(folder.path() / "fp32") != weights_of(folder.path() / "bf16"));
    for (std::size_t i = 0; i < exact.size(); ++i)
        CHECK(coarse[i].train_loss == doctest::Approx(exact[i].train_loss).epsilon(0.1));
    CHECK(coarse.back().train_loss < 0.8 * coarse.front().train_loss);
    CHECK(coarse.back().validation_loss == doctest::Approx(exact.back().validation_loss).epsilon(0.02));

    auto broken = options("broken", "bf16");
    CHECK_FALSE(train(broken, Discs(), [](const EpochReport& report) {
        if (report.epoch == 2) throw std::runtime_error("a break");
    }));
    broken.resume = true;
    auto other = broken;
    other.precision = "fp32";
    CHECK(refusal(other).find("with other options") != std::string::npos);
    REQUIRE(train(broken, Discs(), nullptr));
    CHECK(weights_of(folder.path() / "broken") == weights_of(folder.path() / "bf16"));
}

TEST_CASE("options that make no sense together are refused in words") {
    const TemporaryFolder folder;
    const auto words = [&](auto change) {
        auto options = tuning(folder.path() / "m", 2, Depth::kAll);
        change(options);
        return refusal(options);
    };
    CHECK(words([](auto& o) { o.cnn_rate = 0; }).find("depth encoder") != std::string::npos);
    CHECK(words([](auto& o) { o.distillation = -1; }).find("distillation") != std::string::npos);
    CHECK(words([](auto& o) { o.distillation = std::nan(""); }).find("distillation") != std::string::npos);
    CHECK(words([](auto& o) { o.rehearsal_share = 1; }).find("rehearsal share") != std::string::npos);
    CHECK(words([](auto& o) { o.patience = -1; }).find("patience") != std::string::npos);
    CHECK(words([](auto& o) { o.natural_epochs = 3; }).find("natural epochs") != std::string::npos);
    CHECK(words([](auto& o) { o.precision = "int8"; }).find("precision") != std::string::npos);
    CHECK(words([](auto& o) {
              o.patience = 2;
              o.validation_share = 0;
          }).find("no patient to judge by") != std::string::npos);
    CHECK(words([](auto& o) {
              o.from.reset();
              o.depth = Depth::kHead;
          }).find("a model to start from") != std::string::npos);
    CHECK(words([](auto& o) {
              o.from.reset();
              o.distillation = 1;
          }).find("a model to start from") != std::string::npos);
    for (const Depth depth : {Depth::kCalibration, Depth::kHead, Depth::kEncoder, Depth::kAll})
        CHECK(depth_named(word(depth)).value() == depth);
    CHECK(depth_named("tail").error().message.find("calibration, head, encoder or all") != std::string::npos);
}
