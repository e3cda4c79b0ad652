#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace scopenode::ml {

enum class WeightsFormat { kSafetensors, kH5 };

/// What a file of weights is, by its content. What cannot be read is refused with what to do instead: pickles
/// (.pth, .pt, .bin), Keras 3's .keras, checkpoints of TensorFlow, folders, pointers of Git LFS, web pages.
Result<WeightsFormat> weights_format(const std::filesystem::path& file);
/// The same for the file's bytes; `name` is for messages.
Result<WeightsFormat> weights_format(std::string_view bytes, const std::string& name);

/// A name out of a file, fit for one line of text: no control characters, at most 120 bytes.
std::string printable(std::string_view name);

}  // namespace scopenode::ml
