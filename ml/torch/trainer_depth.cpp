#include "ml/torch/trainer_depth.h"

namespace scopenode::ml {

std::string_view word(Depth depth) {
    switch (depth) {
        case Depth::kCalibration:
            return "calibration";
        case Depth::kHead:
            return "head";
        case Depth::kEncoder:
            return "encoder";
        case Depth::kAll:
            break;
    }
    return "all";
}

Result<Depth> depth_named(std::string_view name) {
    for (const Depth depth : {Depth::kCalibration, Depth::kHead, Depth::kEncoder, Depth::kAll})
        if (word(depth) == name) return depth;
    return fail(Code::kInvalidArgument, "the depth is calibration, head, encoder or all, not '{}'", name);
}

bool is_of_cnn(const std::string& name) {
    return name.rfind("backbones.", 0) == 0;
}

bool learns_at(Depth depth, const std::string& name) {
    switch (depth) {
        case Depth::kCalibration:
            return false;
        case Depth::kHead:
            return name.rfind("head.", 0) == 0 || name.rfind("head_hidden.", 0) == 0;
        case Depth::kEncoder:
            return !is_of_cnn(name);
        case Depth::kAll:
            break;
    }
    return true;
}

void freeze_below(Scopeformer& network, Depth depth) {
    for (auto& item : network.named_parameters())
        if (!learns_at(depth, item.key())) item.value().set_requires_grad(false);
}

void train_above(Scopeformer& network, Depth depth) {
    network.train();
    for (const auto& part : network.named_children())
        if (!learns_at(depth, part.key() + ".")) part.value()->eval();
}

}  // namespace scopenode::ml
