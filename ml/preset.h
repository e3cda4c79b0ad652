#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace scopenode::ml {

/// CT window of one input channel: lo = level - width/2 maps to 0, hi = level + width/2 to 1 (HU).
struct Window {
    double level = 40;
    double width = 80;
    bool operator==(const Window&) const = default;
};

/// Windows of the three channels by name (`default`, `paper_literal`) or as LEVEL/WIDTH each:
/// "40/80,80/200,40/380". Faults name the channel.
Result<std::vector<Window>> parse_windows(const std::string& text);

/// What of a CNN learns: the top 30 % at a block's boundary (reference 4.5), or all of it.
enum class BackboneTraining { kTop, kAll };

/// One CNN of a Scopeformer. `width` and `depth` scale the published network (1 = as published).
struct BackbonePreset {
    std::string name;  ///< xception, efficientnet_b5, resnet152v2, densenet201
    double width = 1;
    double depth = 1;
    BackboneTraining training = BackboneTraining::kTop;  ///< when a file does not say: kAll for scaled ones
};

enum class Tokens { kPatchesCls, kChannelsCls, kChannels };
enum class Attention { kMhsa, kMhra };
enum class ReattentionMode { kStable, kFidelity };

/// A Scopeformer as data; the file form is JSON (config/presets/*.json), the builder is one for all.
struct Preset {
    std::string name;
    int input_size = 256;         ///< pixels, a multiple of 32
    std::vector<Window> windows;  ///< three: one per input channel
    std::vector<BackbonePreset> backbones;
    int global_channels = 384;  ///< d: all 1x1 projections together, a multiple of backbones.size()
    Tokens tokens = Tokens::kChannels;
    int token_width = 64;  ///< D; (input_size/32)^2 for channel tokens, d for patches
    int blocks = 8;        ///< L
    int heads = 16;
    int head_dim = 64;     ///< a file may leave it out: token_width / heads
    int mlp_width = 4096;  ///< H
    Attention attention = Attention::kMhra;
    ReattentionMode reattention = ReattentionMode::kStable;
    double dropout = 0;
};

/// Reads the JSON form; names every fault in one sentence. "windows" is a list of level and width, or the
/// name of a set; preset_json() always writes the list.
Result<Preset> parse_preset(const std::string& json);
std::string preset_json(const Preset& preset);
/// Whether a network can be made of it; names every reason why not.
Status check_preset(const Preset& preset);
/// A preset that is built into the program.
Result<Preset> find_preset(const std::string& name);
std::vector<std::string> preset_names();

/// What a preset amounts to; needs no weights.
struct PresetFigures {
    long paper_parameters = 0;  ///< as the paper counts: encoder and head (reference: section 1.2)
    long trainable_parameters = 0;
    long stored_parameters = 0;  ///< with batch-norm statistics
    double gmac_per_slice = 0;
    std::vector<long> input_shape;  ///< N x 3 x H x W with N = 1
    std::vector<long> token_shape;  ///< tokens x width
    /// A CNN as Keras counts it; EfficientNet-B5 with the 7 constants of its Normalization layer.
    struct Cnn {
        std::string name;
        long trainable = 0, non_trainable = 0;
        long learns = 0;  ///< of the trainable ones, what this preset trains
        long channels = 0;
    };
    std::vector<Cnn> backbones;
};
Result<PresetFigures> preset_figures(const Preset& preset);

}  // namespace scopenode::ml
