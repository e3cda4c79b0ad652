#include "ml/weights/weights_file.h"

#include <algorithm>
#include <fstream>

namespace scopenode::ml {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

constexpr std::string_view kH5Signature = "\x89HDF\r\n\x1a\n"sv;
constexpr std::size_t kLengthBytes = 8;
/// Enough for every signature here; the end of a zip names what is in it.
constexpr std::size_t kBytesRead = 64 * 1024;

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

std::string_view part(std::string_view text, std::size_t at, std::size_t length) {
    return at < text.size() ? text.substr(at, length) : std::string_view();
}

/// HDF5 may begin after a block of the user's own, at a power of two.
bool is_h5(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size(); at = at == 0 ? 512 : at * 2)
        if (part(bytes, at, kH5Signature.size()) == kH5Signature) return true;
    return false;
}

bool is_pickle(std::string_view bytes) {
    return bytes.size() > 1 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5;
}

bool is_safetensors(std::string_view bytes) {
    return bytes.size() > kLengthBytes && bytes[kLengthBytes] == '{' && bytes[6] == 0 && bytes[7] == 0;
}

tl::unexpected<Error> refuse_pickle(const std::string& name) {
    const std::string to = fs::path(name).stem().string() + ".safetensors";
    return fail(Code::kUnsupported,
                "{0} is a pickle of PyTorch, which can run any program when it is read and is not opened "
                "here: convert "
                "it where you trust it, python3 -c \"import torch, safetensors.torch as s; "
                "s.save_file(torch.load('{0}', map_location='cpu', weights_only=True), '{1}')\"",
                name, to);
}

tl::unexpected<Error> refuse_tensorflow(const std::string& name) {
    return fail(Code::kUnsupported,
                "{} is a SavedModel or checkpoint of TensorFlow: load it in Keras and keep the weights with "
                "model.save_weights('weights.h5')",
                name);
}

tl::unexpected<Error> refuse_zip(std::string_view bytes, const std::string& name) {
    if (has(bytes, "model.weights.h5") || has(bytes, "metadata.json"))
        return fail(
            Code::kUnsupported,
            "{} is a .keras archive: load it in Keras and keep it as HDF5 with model.save('model.h5')", name);
    if (has(bytes, "data.pkl")) return refuse_pickle(name);
    return fail(Code::kUnsupported,
                "{} is a zip archive: unpack it and give the .h5 or .safetensors file inside", name);
}

Result<WeightsFormat> by_content(std::string_view head, std::string_view tail, const std::string& name) {
    if (head.empty()) return fail(Code::kDamagedModel, "{} is empty: fetch it again", name);
    if (is_h5(head)) return WeightsFormat::kH5;
    if (head.substr(0, 2) == "PK") return refuse_zip(std::string(head) + std::string(tail), name);
    if (is_pickle(head) || part(head, 257, 5) == "ustar") return refuse_pickle(name);
    if (is_safetensors(head)) return WeightsFormat::kSafetensors;
    if (head.substr(0, 23) == "version https://git-lfs")
        return fail(Code::kDamagedModel, "{} is a pointer of Git LFS, not the file: run `git lfs pull`",
                    name);
    if (has(head.substr(0, 256), "<html") || has(head.substr(0, 256), "<!DOCTYPE"))
        return fail(Code::kDamagedModel, "{} is a web page, not weights: fetch the file itself", name);
    const std::string extension = fs::path(name).extension().string();
    if (extension == ".index" || extension == ".pb" || has(extension, ".data-"))
        return refuse_tensorflow(name);
    return fail(Code::kUnsupported, "{} is neither HDF5 (Keras' .h5) nor safetensors{}: give one of the two",
                name,
                extension == ".h5" || extension == ".hdf5" || extension == ".safetensors"
                    ? " though it is named so (damaged?)"
                    : "");
}

}  // namespace

std::string printable(std::string_view name) {
    constexpr std::size_t kLongest = 120;
    std::string text(name.substr(0, kLongest));
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return name.size() > kLongest ? text + "..." : text;
}

Result<WeightsFormat> weights_format(std::string_view bytes, const std::string& name) {
    const std::size_t length = std::min(bytes.size(), kBytesRead);
    return by_content(bytes.substr(0, length), bytes.substr(bytes.size() - length), name);
}

Result<WeightsFormat> weights_format(const fs::path& file) {
    std::error_code ec;
    const std::string name = file.filename().empty() ? file.string() : file.filename().string();
    if (fs::is_directory(file, ec)) {
        if (fs::exists(file / "saved_model.pb", ec) || fs::exists(file / "checkpoint", ec))
            return refuse_tensorflow(file.string());
        return fail(Code::kInvalidArgument, "{} is a folder: give a .h5 or .safetensors file", file.string());
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) return fail(Code::kNotFound, "cannot read {}", file.string());
    std::string head(kBytesRead, '\0');
    in.read(head.data(), std::streamsize(head.size()));
    head.resize(std::size_t(in.gcount()));
    if (head.size() == kBytesRead) {
        in.clear();
        in.seekg(-std::streamoff(kBytesRead), std::ios::end);
        std::string tail(kBytesRead, '\0');
        in.read(tail.data(), std::streamsize(tail.size()));
        return by_content(head, tail, name);
    }
    return weights_format(head, name);
}

}  // namespace scopenode::ml
