#include "ml/trainer.h"

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

}  // namespace scopenode::ml
