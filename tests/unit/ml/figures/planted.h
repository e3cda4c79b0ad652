#pragma once
#include <cmath>
#include <random>

#include "ml/figures/figures.h"
#include "ml/phantom/phantom.h"

namespace scopenode::test {

/// An explanation of numbers made up for the figures, and the slice of a phantom.
struct Planted {
    ml::Explanation explanation;
    HuImage slice;

    ml::FigureSource source() const {
        return {explanation, slice, "1.2.826.0.1.3680043.8.498.17", "Scopeformer nano (demonstration)",
                0.45,        0.45};
    }
};

inline ml::Grid filled(int rows, int columns, float value) {
    return {rows, columns,
            std::vector<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), value)};
}

/// Random attention whose rows sum to 1; tokens of one network look at one another more.
inline ml::Grid some_softmax(int tokens, int networks, std::mt19937& random) {
    ml::Grid grid = filled(tokens, tokens, 0);
    std::gamma_distribution<float> draw(0.7F);
    for (int r = 0; r < tokens; ++r) {
        float sum = 0;
        float* row = grid.values.data() + static_cast<std::ptrdiff_t>(r) * tokens;
        for (int c = 0; c < tokens; ++c)
            sum += row[c] = draw(random) * (r * networks / tokens == c * networks / tokens ? 3.0F : 1.0F);
        for (int c = 0; c < tokens; ++c) row[c] /= sum;
    }
    return grid;
}

inline ml::BlockAttention some_attention(int block, int heads, int tokens, int networks, bool mixed) {
    std::mt19937 random(static_cast<unsigned>(block));
    std::normal_distribution<float> normal;
    ml::BlockAttention attention;
    attention.block = block;
    for (int h = 0; h < heads; ++h) {
        attention.softmax.push_back(some_softmax(tokens, networks, random));
        if (!mixed) continue;
        attention.mixed.push_back(filled(tokens, tokens, 0));
        for (float& value : attention.mixed.back().values) value = normal(random);
    }
    return attention;
}

struct PlantedSize {
    int networks = 3, heads = 4, tokens = 96, blocks = 2, channels = 64;
    bool mixed = true, class_token = false;
    int slice = 128;
};

inline Planted planted(const PlantedSize& size = {}) {
    Planted p;
    ml::PhantomOptions options;
    options.slices = 12;
    options.size = size.slice;
    options.seed = 4;
    p.slice = ml::make_phantom(options, 1).value().slices.at(7);
    ml::Explanation& e = p.explanation;
    e.model_id = "0123456789ab";
    e.preset = "scopeformer_nano";
    e.demonstration = true;
    e.input = filled(256, 256, 0.5F);
    e.scores = {0.873F, 0.012F, 0.801F, 0.0002F, 0.4F, 0.25F};
    for (int b = 0; b < size.blocks; ++b)
        e.block_similarity.push_back(1 - 0.9 * std::pow(0.7, b) + 0.9 * std::pow(0.7, size.blocks - 1));
    e.block_similarity.back() = 1;
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    const char* names[] = {"xception", "efficientnet_b5", "resnet152v2", "densenet201"};
    for (int n = 0; n < size.networks; ++n) {
        ml::BackboneView view;
        view.name = names[n % 4];
        view.channels = 2048;
        for (int c = 0; c < size.channels; ++c) {
            view.feature_channels.push_back(c * 32 + n);
            view.features.push_back(filled(8, 8, 0));
            for (float& value : view.features.back().values) value = std::abs(normal(random));
        }
        for (std::size_t l = 0; l < ml::kLabelCount; ++l) {
            view.grad_cam[l] = filled(8, 8, 0);
            if (l != 3) view.grad_cam[l].values[static_cast<std::size_t>(8 * (2 + n) + 5)] = 0.02F;
            view.ablation[l] = static_cast<double>(e.scores[l]) * (0.5 - 0.3 * n);
        }
        e.backbones.push_back(std::move(view));
    }
    e.tokens = size.tokens + (size.class_token ? 1 : 0);
    e.class_token = size.class_token;
    e.token_meaning = "channels";
    e.first = some_attention(1, size.heads, e.tokens, size.networks, size.mixed);
    e.last = some_attention(size.blocks, size.heads, e.tokens, size.networks, size.mixed);
    return p;
}

}  // namespace scopenode::test
