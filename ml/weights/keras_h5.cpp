#include "ml/weights/keras_h5.h"

#include "ml/safetensors.h"
#include "ml/weights/keras_tree.h"
#include "ml/weights/weights_file.h"

#ifdef SCOPENODE_WITH_HDF5
#include <hdf5.h>
#endif

namespace scopenode::ml {

#ifndef SCOPENODE_WITH_HDF5

Result<std::string> flatten_h5(const std::filesystem::path&) {
    return fail(Code::kUnsupported, "this build of the program has no HDF5: give a .safetensors file");
}

#else
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t(1) << 30;
constexpr std::size_t kLongestText = 4096;
constexpr hsize_t kMostTexts = 65'536;

/// An identifier of HDF5 with the function that closes it.
class Id {
  public:
    Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    ~Id() {
        if (id_ >= 0) close_(id_);
    }
    Id(const Id&) = delete;
    Id& operator=(const Id&) = delete;
    operator hid_t() const { return id_; }

  private:
    hid_t id_;
    herr_t (*close_)(hid_t);
};

struct Reading {
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::string bytes;
};

class H5File final : public H5Tree {
  public:
    explicit H5File(const std::filesystem::path& file)
        : file_(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose) {}
    bool open() const { return file_ >= 0; }

    bool has_group(const std::string& path) override {
        if (path.empty()) return true;
        if (!plain_links(path)) return false;
        const Id object(H5Oopen(file_, path.c_str(), H5P_DEFAULT), H5Oclose);
        return object >= 0 && H5Iget_type(object) == H5I_GROUP;
    }

    Result<std::optional<std::vector<std::string> > > texts(const std::string& group,
                                                            const std::string& attribute) override {
        using Nothing = std::optional<std::vector<std::string> >;
        const Id object(H5Oopen(file_, group.empty() ? "/" : group.c_str(), H5P_DEFAULT), H5Oclose);
        if (object < 0) return fail(Code::kDamagedModel, "its group '{}' cannot be opened", printable(group));
        if (H5Aexists(object, attribute.c_str()) <= 0) return Nothing();
        const Id opened(H5Aopen(object, attribute.c_str(), H5P_DEFAULT), H5Aclose);
        const auto damaged = [&] {
            return fail(Code::kDamagedModel, "its list {} of '{}' cannot be read", attribute,
                        printable(group));
        };
        if (opened < 0) return damaged();
        const Id type(H5Aget_type(opened), H5Tclose), space(H5Aget_space(opened), H5Sclose);
        if (type < 0 || space < 0) return damaged();
        const hssize_t count = H5Sget_simple_extent_npoints(space);
        if (count < 0 || hsize_t(count) > kMostTexts) return damaged();
        if (count == 0) return Nothing(std::vector<std::string>());  // h5py writes an empty list as floats
        if (H5Tget_class(type) != H5T_STRING) return damaged();
        auto read = H5Tis_variable_str(type) > 0 ? variable(opened, space, std::size_t(count))
                                                 : fixed(opened, type, std::size_t(count));
        if (!read) return damaged();
        return read;
    }

    Result<Reading> read(const std::string& path, std::uint64_t most_bytes) {
        const auto damaged = [&](const char* fault) {
            return fail(Code::kDamagedModel, "its tensor '{}' {}", printable(path), fault);
        };
        if (!plain_links(path)) return damaged("is listed but not there");
        const Id data(H5Dopen2(file_, path.c_str(), H5P_DEFAULT), H5Dclose);
        if (data < 0) return damaged("cannot be opened");
        // Data that stand in another file would be read from wherever the file says.
        const Id plist(H5Dget_create_plist(data), H5Pclose);
        if (plist < 0 || H5Pget_external_count(plist) != 0 || H5Pget_layout(plist) == H5D_VIRTUAL)
            return damaged("does not stand in the file itself");
        const Id type(H5Dget_type(data), H5Tclose), space(H5Dget_space(data), H5Sclose);
        if (type < 0 || space < 0) return damaged("has no type or shape");
        Reading reading;
        std::size_t element = 4;
        const hid_t memory = memory_type(type, reading.dtype, element);
        if (memory < 0) return damaged("holds neither floats nor whole numbers");
        const int rank = H5Sget_simple_extent_ndims(space);
        if (rank < 0 || rank > 8) return damaged("has an impossible shape");
        hsize_t lengths[H5S_MAX_RANK] = {};
        H5Sget_simple_extent_dims(space, lengths, nullptr);
        std::uint64_t bytes = element;
        for (int axis = 0; axis < rank; ++axis) {
            if (lengths[axis] != 0 && bytes > most_bytes / lengths[axis])
                return damaged("is larger than any network here");
            bytes *= lengths[axis];
            reading.shape.push_back(std::int64_t(lengths[axis]));
        }
        if (bytes > most_bytes) return damaged("is larger than any network here");
        reading.bytes.resize(bytes);
        if (bytes > 0 && H5Dread(data, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, reading.bytes.data()) < 0)
            return damaged("cannot be read (truncated?)");
        return reading;
    }

  private:
    /// Links that lead out of the file are not followed: the file would choose what is opened.
    bool plain_links(const std::string& path) const {
        for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
            const std::string part = path.substr(0, end);
            H5L_info_t link{};
            if (part.back() != '/' &&
                (H5Lexists(file_, part.c_str(), H5P_DEFAULT) <= 0 ||
                 H5Lget_info(file_, part.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD))
                return false;
            if (end == path.npos) return true;
        }
    }

    static hid_t memory_type(hid_t type, std::string& dtype, std::size_t& element) {
        const std::size_t size = H5Tget_size(type);
        const H5T_class_t kind = H5Tget_class(type);
        if (kind == H5T_INTEGER) {
            dtype = "I64";
            element = 8;
            return H5T_NATIVE_INT64;
        }
        if (kind != H5T_FLOAT) return -1;
        dtype = size <= 4 ? "F32" : "F64";
        element = size <= 4 ? 4 : 8;
        return size <= 4 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    }

    static std::optional<std::vector<std::string> > fixed(hid_t attribute, hid_t type, std::size_t count) {
        const std::size_t length = H5Tget_size(type);
        if (length == 0 || length > kLongestText) return std::nullopt;
        std::string all(length * count, '\0');
        if (H5Aread(attribute, type, all.data()) < 0) return std::nullopt;
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < count; ++i) {
            std::string text = all.substr(i * length, length);
            text.resize(std::min(text.size(), text.find('\0')));
            if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) text.resize(text.find_last_not_of(' ') + 1);
            texts.push_back(std::move(text));
        }
        return texts;
    }

    static std::optional<std::vector<std::string> > variable(hid_t attribute, hid_t space,
                                                             std::size_t count) {
        const Id type(H5Tcopy(H5T_C_S1), H5Tclose);
        const Id stored(H5Aget_type(attribute), H5Tclose);
        H5Tset_size(type, H5T_VARIABLE);
        H5Tset_cset(type, H5Tget_cset(stored));
        std::vector<char*> pointers(count, nullptr);
        if (H5Aread(attribute, type, pointers.data()) < 0) return std::nullopt;
        std::vector<std::string> texts;
        for (const char* text : pointers) texts.emplace_back(text ? text : "");
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
        return texts;
    }

    Id file_;
};

}  // namespace

Result<std::string> flatten_h5(const std::filesystem::path& file) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);  // a file must not choose a library to load
    H5File tree(file);
    if (!tree.open())
        return fail(Code::kDamagedModel, "it is not a whole HDF5 file (truncated?): fetch it again");
    SCOPENODE_ASSIGN(const auto entries, keras_entries(tree));
    std::vector<Reading> readings;
    std::uint64_t left = kMostBytes;
    for (const KerasEntry& entry : entries) {
        SCOPENODE_ASSIGN(auto reading, tree.read(entry.path, left));
        left -= reading.bytes.size();
        readings.push_back(std::move(reading));
    }
    std::vector<TensorBytes> tensors;
    for (std::size_t i = 0; i < entries.size(); ++i)
        tensors.push_back({entries[i].name, readings[i].dtype, readings[i].shape, readings[i].bytes});
    return build_safetensors(tensors);
}

#endif

}  // namespace scopenode::ml
