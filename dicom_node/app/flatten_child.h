#pragma once
#include <chrono>
#include <filesystem>
#include <string>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// The tensors of a Keras .h5 as flat safetensors bytes (ml::flatten_h5), read by `PROGRAM weights
/// flatten-h5` in a process of its own: HDF5's library crashes on some damaged files. Whatever happens there
/// is one error here.
Result<std::string> flatten_in_child(const std::filesystem::path& file,
                                     const std::string& program = "/proc/self/exe",
                                     std::chrono::seconds limit = std::chrono::seconds(300));

}  // namespace scopenode::dicom_node
