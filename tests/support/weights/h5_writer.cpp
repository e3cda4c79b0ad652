#ifdef SCOPENODE_WITH_HDF5
#include <hdf5.h>

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/support/weights/weight_files.h"

namespace scopenode::test {
namespace {

hid_t good(hid_t id) {
    if (id < 0) throw std::runtime_error("HDF5 cannot write");
    return id;
}

class Writer {
  public:
    Writer(const std::filesystem::path& file, const H5Options& options)
        : options_(options),
          file_(good(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT))),
          parents_(good(H5Pcreate(H5P_LINK_CREATE))) {
        H5Pset_create_intermediate_group(parents_, 1);
    }
    ~Writer() {
        H5Pclose(parents_);
        H5Fclose(file_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void group(const std::string& path) {
        // A layer "conv1/bn" may already have been made on the way to another.
        if (const hid_t made = H5Gcreate2(file_, path.c_str(), parents_, H5P_DEFAULT, H5P_DEFAULT); made >= 0)
            H5Gclose(made);
    }
    void list(const std::string& group, const char* name, const std::vector<std::string>& texts) {
        if (options_.chunk == 0) return write_texts(group, name, texts);
        for (std::size_t at = 0, number = 0; number == 0 || at < texts.size();
             at += options_.chunk, ++number) {
            const auto begin = texts.begin() + std::ptrdiff_t(at);
            const auto end = texts.begin() + std::ptrdiff_t(std::min(texts.size(), at + options_.chunk));
            write_texts(group, fmt::format("{}{}", name, number), {begin, end});
        }
    }
    void data(const std::string& path, const H5Weight& weight) {
        std::vector<hsize_t> lengths(weight.shape.begin(), weight.shape.end());
        const hid_t space =
            good(lengths.empty() ? H5Screate(H5S_SCALAR)
                                 : H5Screate_simple(int(lengths.size()), lengths.data(), nullptr));
        const hid_t data =
            good(H5Dcreate2(file_, path.c_str(), H5T_IEEE_F32LE, space, parents_, H5P_DEFAULT, H5P_DEFAULT));
        good(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, weight.values.data()));
        H5Dclose(data);
        H5Sclose(space);
    }

  private:
    void write_texts(const std::string& group, const std::string& name,
                     const std::vector<std::string>& texts) {
        std::size_t longest = 1;
        for (const std::string& text : texts) longest = std::max(longest, text.size());
        const hsize_t count = texts.size();
        const hid_t space = good(H5Screate_simple(1, &count, nullptr)), type = good(H5Tcopy(H5T_C_S1));
        // h5py keeps an empty list as numbers.
        const hid_t stored = texts.empty() ? H5T_IEEE_F64LE : type;
        H5Tset_size(type, options_.variable_texts ? H5T_VARIABLE : longest);
        if (!options_.variable_texts) H5Tset_strpad(type, H5T_STR_NULLPAD);
        const hid_t object = good(H5Oopen(file_, group.empty() ? "/" : group.c_str(), H5P_DEFAULT));
        const hid_t attribute =
            good(H5Acreate2(object, name.c_str(), stored, space, H5P_DEFAULT, H5P_DEFAULT));
        std::string flat(longest * texts.size(), '\0');
        std::vector<const char*> pointers;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            texts[i].copy(flat.data() + i * longest, texts[i].size());
            pointers.push_back(texts[i].c_str());
        }
        const void* bytes = options_.variable_texts ? static_cast<const void*>(pointers.data()) : flat.data();
        if (!texts.empty()) good(H5Awrite(attribute, type, bytes));
        H5Aclose(attribute);
        H5Oclose(object);
        H5Tclose(type);
        H5Sclose(space);
    }

    const H5Options& options_;
    hid_t file_, parents_;
};

}  // namespace

void write_h5(const std::filesystem::path& file, const std::vector<H5Layer>& layers,
              const H5Options& options) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    Writer writer(file, options);
    if (!options.top.empty()) writer.group(options.top);
    std::vector<std::string> names;
    for (const H5Layer& layer : layers) {
        const std::string group = options.top + "/" + layer.name;
        names.push_back(layer.name);
        writer.group(group);
        std::vector<std::string> weights;
        for (const H5Weight& weight : layer.weights) {
            weights.push_back(weight.name);
            writer.data(group + "/" + weight.name, weight);
        }
        if (options.with_lists) writer.list(group, "weight_names", weights);
    }
    if (options.with_lists) writer.list(options.top, "layer_names", names);
}

}  // namespace scopenode::test

#endif
