#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "base/core/files.h"
#include "ml/model.h"
#include "ml/torch/trainer_batch.h"
#include "ml/torch/trainer_fit.h"
#include "ml/trainer.h"
#include "tests/unit/ml/trainer_discs.h"

#include <doctest/doctest.h>

extern char** environ;

using namespace scopenode;
using namespace scopenode::ml;
using namespace scopenode::test;

namespace {

constexpr const char* kChildOut = "SCOPENODE_TRAIN_CHILD_OUT";
constexpr const char* kChildPipe = "SCOPENODE_TRAIN_CHILD_PIPE";

void unbroken(const std::filesystem::path& out) {
    REQUIRE(train(options_for(out, 3), Discs(), nullptr));
}

}  // namespace

TEST_CASE("a separable toy set is learnt and the model folder is complete") {
    const TemporaryFolder folder;
    std::vector<EpochReport> reports;
    auto options = options_for(folder.path() / "m", 14);
    options.demonstration = true;
    REQUIRE(train(options, Discs(), [&](const EpochReport& r) { reports.push_back(r); }));
    REQUIRE(reports.size() == 14);
    CHECK(reports.back().train_loss < 0.5 * reports.front().train_loss);
    CHECK(reports.back().validation_auroc[0] > 0.95);
    CHECK(reports.back().validation_auroc[5] > 0.95);
    CHECK(std::isnan(reports.back().validation_auroc[1]));

    const auto files = read_model_folder(options.out);
    REQUIRE(files);
    const auto manifest = parse_manifest(files->manifest_json);
    REQUIRE(manifest);
    CHECK(manifest->name == "Tiny");
    CHECK(manifest->demonstration);
    CHECK(manifest->data_snapshot == "96 discs");
    CHECK(manifest->calibration.method == "platt");
    CHECK(manifest->calibration.scale[1] == 1);
    CHECK(files->metrics_json.find("validation_auroc") != std::string::npos);
    CHECK(files->card.find("never for patients") != std::string::npos);
    CHECK(!std::filesystem::exists(options.out / "checkpoint.bin"));
    CHECK(!std::filesystem::exists(options.out / "slices.cache"));

    const auto model = Model::load(*files, {"cpu", 1, 4});
    REQUIRE(model);
    const Discs discs;
    const std::vector<HuImage> images{discs.load(0)->image, discs.load(2)->image};
    const auto scores = (*model)->infer(images);
    REQUIRE(scores);
    CHECK(calibrate(*manifest, (*scores)[0].scores)[0] < manifest->thresholds[0]);
    CHECK(calibrate(*manifest, (*scores)[1].scores)[0] >= manifest->thresholds[0]);
}

TEST_CASE("a training run to be killed by another test" * doctest::skip()) {
    const char* out = std::getenv(kChildOut);
    const char* pipe = std::getenv(kChildPipe);
    if (!out || !pipe) return;
    const int fd = std::atoi(pipe);
    (void)train(options_for(out, 3), Discs(), [fd](const EpochReport& report) {
        const char byte = 'e';
        // After the first epoch it waits to be killed.
        if (::write(fd, &byte, 1) == 1 && report.epoch == 1) ::pause();
    });
}

TEST_CASE("a killed run that is resumed ends with the weights of an unbroken one") {
    const TemporaryFolder folder;
    const auto broken = folder.path() / "broken", whole = folder.path() / "whole";
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    REQUIRE(::setenv(kChildOut, broken.c_str(), 1) == 0);
    REQUIRE(::setenv(kChildPipe, std::to_string(ends[1]).c_str(), 1) == 0);
    std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::string only = "-tc=a training run to be killed by another test", all = "--no-skip";
    std::array<char*, 4> argv{program.data(), only.data(), all.data(), nullptr};
    pid_t child = 0;
    REQUIRE(::posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), environ) == 0);
    ::close(ends[1]);
    char byte = 0;
    const bool heard = ::read(ends[0], &byte, 1) == 1;
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ends[0]);
    REQUIRE(heard);
    REQUIRE(std::filesystem::exists(broken / "checkpoint.bin"));

    SUBCASE("resumed") {
        auto options = options_for(broken, 3);
        options.resume = true;
        std::vector<int> epochs;
        REQUIRE(train(options, Discs(), [&](const EpochReport& r) { epochs.push_back(r.epoch); }));
        CHECK(epochs == std::vector<int>{2, 3});
        unbroken(whole);
        CHECK(weights_of(broken) == weights_of(whole));
    }
    SUBCASE("another run's checkpoint is refused") {
        auto options = options_for(broken, 3);
        options.resume = true;
        options.learning_rate = 1e-3;
        const auto refused = train(options, Discs(), nullptr);
        REQUIRE(!refused);
        CHECK(refused.error().code == Code::kConflict);
    }
    SUBCASE("a damaged checkpoint is refused") {
        auto bytes = read_file(broken / "checkpoint.bin");
        REQUIRE(bytes);
        SUBCASE("cut") {
            bytes->resize(bytes->size() / 2);
        }
        SUBCASE("one bit of its tensors") {
            bytes->at(bytes->size() - 1000) ^= 4;
        }
        SUBCASE("another number of epochs") {
            const auto at = bytes->find("\"epoch\":1,");
            REQUIRE(at != std::string::npos);
            bytes->at(at + 8) = '2';
        }
        REQUIRE(write_file(real_files(), broken / "checkpoint.bin", *bytes));
        auto options = options_for(broken, 3);
        options.resume = true;
        const auto refused = train(options, Discs(), nullptr);
        REQUIRE(!refused);
        CHECK(refused.error().code == Code::kDamagedModel);
    }
}

TEST_CASE("fine-tuning starts from weights that fit and names its parent") {
    const TemporaryFolder folder;
    const auto first = folder.path() / "first";
    REQUIRE(train(options_for(first, 1), Discs(), nullptr));
    auto files = read_model_folder(first);
    REQUIRE(files);
    Manifest imported = *parse_manifest(files->manifest_json);
    imported.sources = {{"xception", 1, "x.h5", "Keras", std::string(64, 'a'), "MIT", {}}};
    files->manifest_json = manifest_json(imported);

    auto options = options_for(folder.path() / "second", 1);
    options.from = *files;
    REQUIRE(train(options, Discs(), nullptr));
    const auto second = read_model_folder(options.out);
    REQUIRE(second);
    const Manifest made = *parse_manifest(second->manifest_json);
    CHECK(made.parent == files->id());
    REQUIRE(made.sources.size() == 1);
    CHECK(made.sources.front().file == "x.h5");
    CHECK(made.trained());
    CHECK(second->weights != files->weights);

    auto wrong = options_for(folder.path() / "third", 1);
    wrong.from = *files;
    wrong.preset.mlp_width = 24;
    const auto refused = train(wrong, Discs(), nullptr);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::kDamagedModel);
    CHECK(!std::filesystem::exists(wrong.out / "model.json"));
}

TEST_CASE("Platt turns shrunken scores back and thresholds part the classes") {
    std::vector<ScoredStudy> studies;
    for (int i = 0; i < 200; ++i) {
        ScoredStudy study;
        const bool positive = i % 4 == 0;
        study.truth.fill(positive);
        study.truth[2] = std::nullopt;
        // Far too low for everybody, but in the right order apart from some overlap.
        study.scores.fill(positive ? 0.02F + 0.0005F * static_cast<float>(i)
                                   : 0.001F + 0.00015F * static_cast<float>(i));
        studies.push_back(study);
    }
    CHECK(study_auroc(studies)[0] > 0.95);
    CHECK(std::isnan(study_auroc(studies)[2]));
    Manifest manifest;
    manifest.calibration = fit_platt(studies, "a test");
    CHECK(manifest.calibration.scale[2] == 1);
    manifest.thresholds = fit_thresholds(studies, manifest);
    CHECK(manifest.thresholds[2] == 0.5);
    double mean = 0, right = 0;
    for (const auto& study : studies) {
        const float p = calibrate(manifest, study.scores)[0];
        mean += p / 200;
        right += (p >= manifest.thresholds[0]) == *study.truth[0] ? 1 : 0;
    }
    CHECK(mean == doctest::Approx(0.25).epsilon(0.1));
    CHECK(right / 200 > 0.9);
}

namespace {

/// Six slices: logits, records with some labels unknown, and the same as doubles.
struct LossCase {
    torch::Tensor logits;
    std::vector<SliceRecord> records;
    std::vector<std::size_t> indices;
    std::vector<Probabilities> probabilities;
    std::vector<Truth> truth;
};

LossCase loss_case(bool all_known) {
    LossCase out;
    torch::manual_seed(4);
    out.logits = torch::randn({6, 6}) * 3;
    for (std::size_t n = 0; n < 6; ++n) {
        SliceRecord record;
        auto& p = out.probabilities.emplace_back();
        for (std::size_t k = 0; k < kLabelCount; ++k) {
            p[k] = 1 / (1 + std::exp(-double(out.logits[int64_t(n)][int64_t(k)].item<float>())));
            if (all_known || ((n + k) % 3 != 0 && n != 2)) record.labels[k] = (n * k) % 4 == 1;
        }
        out.truth.push_back(record.labels);
        out.records.push_back(record);
        out.indices.push_back(n);
    }
    return out;
}

}  // namespace

TEST_CASE("the losses of training are the figures that are reported") {
    for (const bool all_known : {true, false}) {
        CAPTURE(all_known);
        const LossCase c = loss_case(all_known);
        const auto targets = targets_of(c.records, c.indices);
        const auto figures = figures_of(c.probabilities, c.truth);
        const double eq3 = training_loss(Loss::kPaperEq3, c.logits, targets).item<double>();
        CHECK(eq3 == doctest::Approx(figures.paper_eq3).epsilon(1e-5));
        // With unknown labels a step pools the weights of its batch; the figure renormalises slice by slice.
        if (!all_known) continue;
        const double rsna = training_loss(Loss::kRsna, c.logits, targets).item<double>();
        CHECK(rsna == doctest::Approx(figures.weighted_log_loss).epsilon(1e-5));
    }
    const LossCase c = loss_case(true);
    const auto unknown = targets_of({SliceRecord{}}, {0});
    const auto one = c.logits.slice(0, 0, 1);
    for (const Loss loss : {Loss::kRsna, Loss::kPaperEq3})
        CHECK(training_loss(loss, one, unknown).item<double>() == 0);
    const auto certain = torch::full({6, 6}, 200.0F);
    CHECK(std::isfinite(
        training_loss(Loss::kPaperEq3, certain, targets_of(c.records, c.indices)).item<double>()));
}

TEST_CASE("the loss of a run is kept and tells its checkpoint from another's") {
    const TemporaryFolder folder;
    auto options = options_for(folder.path() / "m", 2);
    options.loss = Loss::kPaperEq3;
    options.preset.windows = {{40, 80}, {80, 200}, {80, 200}};
    int epochs = 0;
    REQUIRE(train(options, Discs(), [&](const EpochReport& report) {
        if (++epochs > 1) return;
        CHECK(report.train_loss > 1.5);  // a sum of six
        std::filesystem::copy(options.out, folder.path() / "broken");
    }));
    const auto files = read_model_folder(options.out);
    REQUIRE(files);
    CHECK(files->metrics_json.find("\"loss\": \"paper_eq3\"") != std::string::npos);
    CHECK(files->metrics_json.find("\"of_prevalence\"") != std::string::npos);
    CHECK(files->card.find("of their prevalence alone") != std::string::npos);
    CHECK((parse_manifest(files->manifest_json)->preset.windows == options.preset.windows));

    auto other = options;
    other.out = folder.path() / "broken";
    other.resume = true;
    other.loss = Loss::kRsna;
    const auto refused = train(other, Discs(), nullptr);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::kConflict);
    other.loss = Loss::kPaperEq3;
    CHECK(train(other, Discs(), nullptr));
}
