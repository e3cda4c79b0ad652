#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/labels.h"
#include "ml/model.h"

namespace scopenode::ml {

/// The preset for another input size: channel tokens are as wide as there are positions.
Preset resized(Preset preset, int input_size);

struct InferenceFigures {
    std::string device;
    int batch = 0, rounds = 0;
    double milliseconds_per_slice = 0;  ///< median over rounds, windows and copies to the device included
    std::vector<Scores> scores;         ///< of the slices given, from the last round
};
/// Scores `slices` again and again; the first round is not counted.
Result<InferenceFigures> bench_inference(const ModelFiles& files, const ModelOptions& options,
                                         std::span<const HuImage> slices, int rounds);

struct FineTuneOptions {
    Preset preset;
    std::uint64_t seed = 1;
    int steps = 20;
    double learning_rate = 1e-4;
    std::string device = "auto";
    int threads = 0;
};
struct FineTuneFigures {
    std::string device;
    std::vector<double> losses;  ///< before each step
    double loss_after = 0;
    long frozen_parameters = 0, learning_parameters = 0;
    long frozen_moved = 0;      ///< numbers of the frozen part, batch-norm statistics included, that changed
    double learning_moved = 0;  ///< share of the learning tensors that changed
    double milliseconds_per_step = 0;  ///< median
};
/// Fine-tunes random weights on one fixed batch with AdamW: what a step of training costs, and that it
/// learns.
Result<FineTuneFigures> bench_fine_tuning(const FineTuneOptions& options, std::span<const HuImage> slices,
                                          std::span<const Scores> labels);

/// Slices with their truth: of phantoms, with and without blood in turn.
struct BenchSlices {
    std::vector<HuImage> images;
    std::vector<Scores> labels;
};
Result<BenchSlices> bench_slices(int count);

/// The measurements as JSON: 32-bit floats and bfloat16 side by side, with how far their probabilities
/// differ.
Result<std::string> inference_report(const ModelFiles& files, ModelOptions options,
                                     std::span<const HuImage> slices, int rounds);
Result<std::string> fine_tuning_report(const FineTuneOptions& options, std::span<const HuImage> slices,
                                       std::span<const Scores> labels);

}  // namespace scopenode::ml
