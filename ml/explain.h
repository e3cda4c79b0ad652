#pragma once
#include <array>
#include <string>
#include <vector>

#include "base/core/hu_image.h"
#include "base/core/result.h"
#include "ml/grid.h"
#include "ml/labels.h"
#include "ml/model.h"

namespace scopenode::ml {

/// What one backbone saw and contributed.
struct BackboneView {
    std::string name;                   ///< "xception"; "xception 2" for the second of several
    int channels = 0;                   ///< of its last feature map
    std::vector<int> feature_channels;  ///< which channels `features` shows: the most varied ones first
    std::vector<Grid> features;         ///< last feature map (S/32 x S/32), up to 64 channels
    std::array<Grid, kLabelCount>
        grad_cam;  ///< on the last feature map before the 1x1 convolution; >= 0, as computed
    /// How far the probability falls when this backbone's channels are replaced by their mean over positions.
    std::array<double, kLabelCount> ablation{};
};

/// Attention of one encoder block: a tokens x tokens matrix per head, row = query.
struct BlockAttention {
    int block = 0;              ///< 1-based
    std::vector<Grid> softmax;  ///< rows sum to 1
    std::vector<Grid>
        mixed;  ///< after M and its norm (MHRA only, else empty): signed, rows need not sum to 1
};

/// The figures of the paper for one slice, as numbers.
struct Explanation {
    std::string model_id, preset;
    bool demonstration = false, trained = true;
    Grid input;                            ///< the first input channel (first window), S x S in [0,1]
    Scores scores{};                       ///< raw probabilities
    std::vector<double> block_similarity;  ///< cosine of each block's output to the last block's (paper Fig.
                                           ///< 3); the last is 1
    std::vector<BackboneView> backbones;   ///< Figs. 4-6 and 8
    BlockAttention first, last;            ///< Fig. 7
    int tokens = 0;
    bool class_token = false;
    std::string token_meaning;  ///< "channels" or "positions"
};

/// Thread-safe; runs on the CPU in 32-bit floats. Errors as Model::load and infer.
Result<Explanation> explain(const ModelFiles& files, const HuImage& slice, int threads = 0);

}  // namespace scopenode::ml
