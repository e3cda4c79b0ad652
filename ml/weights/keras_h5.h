#pragma once
#include <filesystem>
#include <string>

#include "base/core/result.h"

namespace scopenode::ml {

/// The tensors of a Keras .h5 as safetensors bytes, in the file's order and layout, named "<layer>/<weight>".
/// HDF5's library is not safe on hostile files: the program calls this in a process of its own, behind
/// limit_this_process(). kUnsupported in a build without HDF5.
Result<std::string> flatten_h5(const std::filesystem::path& file);

}  // namespace scopenode::ml
