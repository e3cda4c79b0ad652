#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ml/backbone.h"
#include "ml/weights/weights_file.h"

namespace scopenode::ml {

/// Weights of a file in the names and axes of a backbone of ours.
struct ImportedWeights {
    std::string file;                  ///< its name, without the folder
    std::string format;                ///< in words
    std::string sha256;                ///< of the file
    std::vector<FloatTensor> tensors;  ///< every tensor of the backbone, in the order of the targets
    std::vector<std::string> unused;   ///< tensors of the file that nothing takes: a classifier
    std::vector<std::string> ignored;  ///< tensors that are left out by design
    std::vector<std::string> notes;
};

/// Maps safetensors bytes, as timm or torchvision name them or flatten_h5() gives them, onto `targets` (of
/// backbone_tensors()). Each target is filled exactly once with its shape and finite values, or it is an
/// error that names `where`.
Result<ImportedWeights> map_weights(std::string_view bytes, WeightsFormat format, const std::string& where,
                                    const std::string& backbone, std::span<const TensorShape> targets);

/// Turns an .h5 file into flat safetensors bytes, in a process of its own.
using Flatten = std::function<Result<std::string>(const std::filesystem::path&)>;
/// The whole way from a file of any kind.
Result<ImportedWeights> import_weights(const std::filesystem::path& file, const std::string& backbone,
                                       std::span<const TensorShape> targets, const Flatten& flatten);

}  // namespace scopenode::ml
