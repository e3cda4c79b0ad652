#include "ml/weights/import.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "ml/weights/source_names.h"

namespace scopenode::ml {
namespace {

using Shape = std::vector<std::int64_t>;
/// Far more than the largest of the four networks with its classifier and the state of its training.
constexpr std::uintmax_t kLargestFile = std::uintmax_t(3) << 30;

std::string words(const Shape& shape) {
    return fmt::format("{}", fmt::join(shape, " x "));
}

Shape moved(const Shape& shape, Axes axes) {
    if (axes == Axes::kHwioToOihw && shape.size() == 4) return {shape[3], shape[2], shape[0], shape[1]};
    if (axes == Axes::kHwcToChw && shape.size() == 4) return {shape[2], shape[3], shape[0], shape[1]};
    return shape;
}

Shape without_ones(Shape shape) {
    std::erase(shape, 1);
    return shape;
}

float from_half(std::uint16_t bits) {
    const int exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff;
    const float sign = bits & 0x8000 ? -1.F : 1.F;
    if (exponent == 0x1f) return fraction ? std::nanf("") : sign * INFINITY;
    if (exponent == 0) return sign * std::ldexp(float(fraction), -24);
    return sign * std::ldexp(float(fraction + 0x400), exponent - 25);
}

/// The values of a tensor whose bytes need not be aligned.
Result<std::vector<float>> values_of(const TensorBytes& source) {
    std::vector<float> values;
    if (source.dtype == "F32") {
        values.resize(source.bytes.size() / sizeof(float));
        if (!values.empty()) std::memcpy(values.data(), source.bytes.data(), source.bytes.size());
        return values;
    }
    if (source.dtype != "F16" && source.dtype != "BF16")
        return fail(Code::kDamagedModel, "its tensor '{}' is {}: convert it to float32",
                    printable(source.name), source.dtype);
    values.reserve(source.bytes.size() / 2);
    for (std::size_t i = 0; i + 1 < source.bytes.size(); i += 2) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, source.bytes.data() + i, sizeof bits);
        values.push_back(source.dtype == "F16" ? from_half(bits)
                                               : std::bit_cast<float>(std::uint32_t(bits) << 16));
    }
    return values;
}

/// HWIO (or HWC1, with O and I exchanged) to OIHW; `shape` is ours.
std::vector<float> reordered(const std::vector<float>& from, const Shape& shape, Axes axes) {
    if (axes != Axes::kHwioToOihw && axes != Axes::kHwcToChw) return from;
    const auto out = std::size_t(shape[0]), in = std::size_t(shape[1]),
               pixels = std::size_t(shape[2] * shape[3]);
    const std::size_t out_step = axes == Axes::kHwioToOihw ? 1 : in,
                      in_step = axes == Axes::kHwioToOihw ? out : 1;
    std::vector<float> to(from.size());
    for (std::size_t o = 0; o < out; ++o)
        for (std::size_t i = 0; i < in; ++i)
            for (std::size_t p = 0; p < pixels; ++p)
                to[(o * in + i) * pixels + p] = from[p * out * in + o * out_step + i * in_step];
    return to;
}

Result<FloatTensor> filled(const TensorShape& target, const TensorBytes& source, Axes axes) {
    const Shape shape = moved(source.shape, axes);
    const bool same = axes == Axes::kWithoutOnes ? without_ones(shape) == without_ones(target.shape)
                                                 : shape == target.shape;
    if (!same)
        return fail(Code::kDamagedModel, "its tensor '{}' is {} where {} takes {}", printable(source.name),
                    words(source.shape), target.name, words(target.shape));
    SCOPENODE_ASSIGN(const auto values, values_of(source));
    const bool spread = target.name.ends_with(".running_var");
    for (const float value : values) {
        if (!std::isfinite(value))
            return fail(Code::kDamagedModel, "its tensor '{}' holds a value that is not a number",
                        printable(source.name));
        if (spread && value < 0)
            return fail(Code::kDamagedModel, "its tensor '{}' holds a variance below zero",
                        printable(source.name));
    }
    return FloatTensor{target.name, target.shape, reordered(values, target.shape, axes)};
}

Status fill_all(const Assignment& assignment, std::span<const TensorShape> targets,
                std::span<const TensorBytes> sources, ImportedWeights& into) {
    into.tensors.resize(targets.size());
    std::vector<bool> done(targets.size(), false), taken(sources.size(), false);
    std::size_t halves = 0;
    for (const Fill& fill : assignment.fills) {
        const TensorShape& target = targets[fill.target];
        const TensorBytes& source = sources[fill.source];
        if (done[fill.target] || taken[fill.source])
            return fail(Code::kDamagedModel, "two of its tensors fill {}: '{}' and another", target.name,
                        printable(source.name));
        done[fill.target] = taken[fill.source] = true;
        SCOPENODE_ASSIGN(into.tensors[fill.target], filled(target, source, fill.axes));
        halves += source.dtype != "F32";
    }
    for (std::size_t i = 0; i < targets.size(); ++i)
        if (!done[i]) return fail(Code::kDamagedModel, "nothing in it fills {}", targets[i].name);
    for (const std::size_t i : assignment.ignored) {
        if (taken[i]) continue;
        taken[i] = true;
        into.ignored.push_back(sources[i].name);
    }
    for (std::size_t i = 0; i < sources.size(); ++i)
        if (!taken[i]) into.unused.push_back(printable(sources[i].name));
    into.notes = assignment.notes;
    if (halves > 0)
        into.notes.push_back(fmt::format("{} tensors were 16 bits wide and became float32", halves));
    return {};
}

Result<ImportedWeights> map_named(std::string_view bytes, WeightsFormat format, const std::string& where,
                                  const std::string& backbone, std::span<const TensorShape> targets) {
    SCOPENODE_ASSIGN(const auto sources, parse_safetensors(bytes, where));
    const bool keras = format == WeightsFormat::kH5;
    SCOPENODE_ASSIGN(const auto assignment, keras ? assign_keras(backbone, targets, sources)
                                                  : assign_torch(backbone, targets, sources));
    ImportedWeights imported;
    imported.file = where;
    imported.format = keras ? "Keras HDF5" : "safetensors of timm or torchvision";
    SCOPENODE_TRY(fill_all(assignment, targets, sources, imported));
    return imported;
}

}  // namespace

Result<ImportedWeights> map_weights(std::string_view bytes, WeightsFormat format, const std::string& where,
                                    const std::string& backbone, std::span<const TensorShape> targets) {
    auto mapped = map_named(bytes, format, where, backbone, targets);
    if (mapped || mapped.error().message.starts_with(where)) return mapped;
    return fail(mapped.error().code, "{}: {}", where, mapped.error().message);
}

Result<ImportedWeights> import_weights(const std::filesystem::path& file, const std::string& backbone,
                                       std::span<const TensorShape> targets, const Flatten& flatten) {
    SCOPENODE_ASSIGN(const WeightsFormat format, weights_format(file));
    std::error_code ec;
    if (const auto size = std::filesystem::file_size(file, ec); ec || size > kLargestFile)
        return fail(Code::kUnsupported, "{} is larger than any of the four networks: give its weights alone",
                    file.string());
    SCOPENODE_ASSIGN(std::string bytes, read_file(file));
    const std::string sha256 = sha256_hex(bytes), name = file.filename().string();
    if (format == WeightsFormat::kH5) {
        std::string().swap(bytes);
        auto flat = flatten(file);
        if (!flat) return fail(flat.error().code, "{}: {}", name, flat.error().message);
        bytes = std::move(*flat);
    }
    SCOPENODE_ASSIGN(auto imported, map_weights(bytes, format, name, backbone, targets));
    imported.sha256 = sha256;
    return imported;
}

}  // namespace scopenode::ml
