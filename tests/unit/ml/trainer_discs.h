#pragma once
#include <functional>

#include "base/core/files.h"
#include "ml/trainer.h"

#include <doctest/doctest.h>

namespace scopenode::test {

inline ml::Preset tiny_preset() {
    ml::Preset preset;
    preset.name = "tiny";
    preset.input_size = 64;
    preset.windows = {{40, 80}, {80, 200}, {40, 380}};
    preset.backbones = {{"resnet152v2", 0.03, 0.05}};
    preset.global_channels = 16;
    preset.token_width = 4;
    preset.blocks = 1;
    preset.heads = 2;
    preset.head_dim = 4;
    preset.mlp_width = 16;
    return preset;
}

/// Grey discs; every second patient has a bright square, called `any` and `subdural`. Epidural is never
/// known.
class Discs final : public ml::TrainingSet {
  public:
    /// `change` sees every slice before it is given.
    using Change = std::function<Status(std::size_t index, ml::LabelledSlice& slice)>;
    explicit Discs(Change change = nullptr, std::string description = "96 discs")
        : change_(std::move(change)), description_(std::move(description)) {}

    std::size_t size() const override { return 96; }
    std::string description() const override { return description_; }
    Result<ml::LabelledSlice> load(std::size_t index) const override {
        const std::size_t patient = index / 2;
        const bool positive = patient % 2 == 1;
        ml::LabelledSlice slice;
        slice.study = slice.patient = "patient " + std::to_string(patient);
        slice.z_mm = static_cast<double>(index % 2) * 5;
        slice.labels = {positive, std::nullopt, false, false, false, positive};
        slice.image = {80, 80, std::vector<float>(80 * 80, -1000)};
        const int left = 25 + static_cast<int>(patient * 7 % 14),
                  top = 25 + static_cast<int>(patient * 5 % 14);
        for (int y = 0; y < 80; ++y)
            for (int x = 0; x < 80; ++x) {
                float& hu = slice.image.hu[static_cast<std::size_t>(y * 80 + x)];
                if ((x - 40) * (x - 40) + (y - 40) * (y - 40) < 35 * 35) hu = 30;
                if (positive && x >= left && x < left + 18 && y >= top && y < top + 18) hu = 75;
            }
        if (change_) SCOPENODE_TRY(change_(index, slice));
        return slice;
    }

  private:
    Change change_;
    std::string description_;
};

inline ml::TrainOptions options_for(const std::filesystem::path& out, int epochs) {
    ml::TrainOptions options;
    options.preset = tiny_preset();
    options.out = out;
    options.epochs = epochs;
    options.batch = 8;
    options.learning_rate = 5e-3;
    options.threads = 1;
    options.validation_share = 0.3;
    options.device = "cpu";
    options.name = "Tiny";
    options.data_licence = "none";
    return options;
}

inline std::string weights_of(const std::filesystem::path& folder) {
    const auto files = ml::read_model_folder(folder);
    REQUIRE(files);
    return files->weights;
}

}  // namespace scopenode::test
