#include "ml/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

namespace scopenode::ml {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kLongestHeader = 100'000'000;
constexpr std::size_t kLengthBytes = 8;

std::size_t bytes_per_element(const std::string& dtype) {
    if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
    if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
    if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
    if (dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 1;
    return 0;
}

/// The JSON of the header; a name that comes twice is a fault, which a parsed object would hide.
Result<Json> read_header(std::string_view text, const std::string& where) {
    std::set<std::string> names;
    std::string twice;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
        if (depth == 1 && event == Json::parse_event_t::key && !names.insert(value.get<std::string>()).second)
            twice = value.get<std::string>();
        return true;
    };
    Json header = Json::parse(text.begin(), text.end(), watch, false);
    if (header.is_discarded() || !header.is_object())
        return fail(Code::kDamagedModel, "{}: the header of the weights is not a JSON object", where);
    if (!twice.empty()) return fail(Code::kDamagedModel, "{}: tensor '{}' is described twice", where, twice);
    return header;
}

Result<TensorBytes> read_entry(const std::string& name, const Json& entry, std::string_view data,
                               const std::string& where) {
    const auto damaged = [&](const char* fault) {
        return fail(Code::kDamagedModel, "{}: tensor '{}' {}", where, name, fault);
    };
    TensorBytes tensor{name, "", {}, {}};
    std::uint64_t begin = 0, end = 0;
    try {
        tensor.dtype = entry.at("dtype").get<std::string>();
        for (const Json& length : entry.at("shape")) {
            if (!length.is_number_unsigned()) return damaged("has a shape that is not a list of sizes");
            tensor.shape.push_back(length.get<std::int64_t>());
        }
        const Json& offsets = entry.at("data_offsets");
        if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
            return damaged("has offsets that are not two sizes");
        begin = offsets[0].get<std::uint64_t>();
        end = offsets[1].get<std::uint64_t>();
    } catch (const Json::exception&) {
        return damaged("lacks its type, shape or offsets");
    }
    const std::size_t element = bytes_per_element(tensor.dtype);
    if (element == 0) return damaged("has an unknown type");
    if (begin > end || end > data.size()) return damaged("lies outside the file (truncated?)");
    std::uint64_t expected = element;
    for (const std::int64_t length : tensor.shape) {
        if (length < 0 ||
            (length != 0 && expected > std::numeric_limits<std::uint64_t>::max() / 2 / std::uint64_t(length)))
            return damaged("has an impossible shape");
        expected *= std::uint64_t(length);
    }
    if (expected != end - begin) return damaged("has a size that does not fit its shape");
    tensor.bytes = data.substr(begin, end - begin);
    return tensor;
}

}  // namespace

Result<std::vector<TensorBytes>> parse_safetensors(std::string_view file, const std::string& where) {
    if (file.size() < kLengthBytes)
        return fail(Code::kDamagedModel, "{}: the weights are only {} bytes", where, file.size());
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i)
        length |= std::uint64_t(static_cast<unsigned char>(file[i])) << (8 * i);
    if (length > kLongestHeader)
        return fail(Code::kDamagedModel, "{}: the header of the weights claims {} bytes", where, length);
    if (length > file.size() - kLengthBytes)
        return fail(Code::kDamagedModel, "{}: the weights end inside their header", where);
    SCOPENODE_ASSIGN(const Json header, read_header(file.substr(kLengthBytes, length), where));
    const std::string_view data = file.substr(kLengthBytes + length);
    std::vector<TensorBytes> tensors;
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        SCOPENODE_ASSIGN(auto tensor, read_entry(name, entry, data, where));
        tensors.push_back(std::move(tensor));
    }
    std::stable_sort(tensors.begin(), tensors.end(), [](const TensorBytes& a, const TensorBytes& b) {
        return a.bytes.data() < b.bytes.data() ||
               (a.bytes.data() == b.bytes.data() && a.bytes.size() < b.bytes.size());
    });
    const char* next = data.data();
    for (const TensorBytes& tensor : tensors) {
        if (tensor.bytes.data() != next)
            return fail(Code::kDamagedModel, "{}: tensor '{}' {}", where, tensor.name,
                        tensor.bytes.data() < next ? "overlaps another" : "follows a hole in the file");
        next += tensor.bytes.size();
    }
    if (next != data.data() + data.size())
        return fail(Code::kDamagedModel, "{}: {} bytes follow the last tensor", where,
                    data.data() + data.size() - next);
    return tensors;
}

std::string build_safetensors(std::span<const TensorBytes> tensors) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    std::size_t offset = 0;
    for (const TensorBytes& tensor : tensors) {
        header[tensor.name] = {{"dtype", tensor.dtype},
                               {"shape", tensor.shape},
                               {"data_offsets", {offset, offset + tensor.bytes.size()}}};
        offset += tensor.bytes.size();
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    std::string file;
    file.reserve(kLengthBytes + text.size() + offset);
    for (std::size_t i = 0; i < kLengthBytes; ++i)
        file.push_back(static_cast<char>((text.size() >> (8 * i)) & 0xff));
    file += text;
    for (const TensorBytes& tensor : tensors) file += tensor.bytes;
    return file;
}

}  // namespace scopenode::ml
