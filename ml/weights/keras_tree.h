#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace scopenode::ml {

/// What a reader of Keras' weights asks of an HDF5 file: the file itself, or a tree made up by a test.
/// Paths are absolute, without a slash at the end; the root is "".
class H5Tree {
  public:
    virtual ~H5Tree() = default;
    virtual bool has_group(const std::string& path) = 0;
    /// The texts of an attribute of a group; nothing when the group has no such attribute.
    virtual Result<std::optional<std::vector<std::string>>> texts(const std::string& group,
                                                                  const std::string& attribute) = 0;
};

/// One tensor of a Keras file: where it stands, and its name in the flat form: "<layer>/<weight>".
struct KerasEntry {
    std::string path;  ///< of the data set
    std::string name;  ///< "conv1/conv/kernel"
};

/// Every tensor of a Keras Applications .h5, in the file's order: from the lists `layer_names` and
/// `weight_names`, which may be chunked, of the root or of `model_weights` of a whole model's file.
/// kUnsupported for Keras 3's .weights.h5, kDamagedModel for the rest.
Result<std::vector<KerasEntry>> keras_entries(H5Tree& tree);

}  // namespace scopenode::ml
