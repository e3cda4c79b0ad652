#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ml/backbone.h"
#include "tests/support/weights/networks.h"

namespace scopenode::test {

/// A layer of a Keras file; activations and poolings have no weights.
struct H5Weight {
    std::string name;  ///< "conv1/conv/kernel:0"
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};
struct H5Layer {
    std::string name;
    std::vector<H5Weight> weights;
};
struct H5Options {
    std::string top = {};         ///< "/model_weights" in the file of a whole model
    std::size_t chunk = 0;        ///< names in each chunk of a list; 0: not chunked
    bool variable_texts = false;  ///< as h5py writes lists of str; Keras writes bytes of one length
    bool with_lists = true;
};
/// Throws when HDF5 fails.
void write_h5(const std::filesystem::path& file, const std::vector<H5Layer>& layers,
              const H5Options& options = {});

/// A network as Keras keeps it, with layers that have no weights between.
std::vector<H5Layer> keras_layers(const std::string& backbone, int narrow, const ValueOf& value);
/// The same network as timm or torchvision name it, as safetensors bytes, with num_batches_tracked.
std::string torch_file(const std::string& backbone, int narrow, const ValueOf& value);
/// keras_layers() in the flat form that flatten_h5() gives.
std::string flat_file(const std::vector<H5Layer>& layers);

/// What backbone_tensors() would say of the narrowed network.
std::vector<ml::TensorShape> network_targets(const std::string& backbone, int narrow);

std::string safetensors_of(const std::vector<ml::FloatTensor>& tensors);

}  // namespace scopenode::test
