#include "ml/weights/image_file.h"

#include <algorithm>
#include <cstring>

#include "ml/safetensors.h"

namespace scopenode::ml {
namespace {

constexpr std::int64_t kLongestSide = 4096, kMostImages = 1024;

}  // namespace

Result<FloatTensor> read_image(std::string_view file, const std::string& where) {
    SCOPENODE_ASSIGN(const auto tensors, parse_safetensors(file, where));
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [](const TensorBytes& each) { return each.name == "image"; });
    if (found == tensors.end())
        return fail(Code::kInvalidArgument,
                    "{} has no tensor 'image': give one of N x 3 x H x W, float32 in [0,1]", where);
    if (found->dtype != "F32")
        return fail(Code::kInvalidArgument, "{}: 'image' is {}: convert it to float32 in [0,1]", where,
                    found->dtype);
    const auto& shape = found->shape;
    if (shape.size() != 4 || shape[1] != 3 || shape[0] < 1 || shape[0] > kMostImages)
        return fail(Code::kInvalidArgument, "{}: 'image' is {}: it must be N x 3 x H x W", where,
                    fmt::join(shape, " x "));
    for (const std::int64_t side : {shape[2], shape[3]})
        if (side < 32 || side > kLongestSide || side % 32 != 0)
            return fail(Code::kInvalidArgument,
                        "{}: 'image' is {}: height and width must be multiples of 32, at most {}", where,
                        fmt::join(shape, " x "), kLongestSide);
    FloatTensor image{"image", shape, std::vector<float>(found->bytes.size() / sizeof(float))};
    std::memcpy(image.values.data(), found->bytes.data(), found->bytes.size());
    if (!std::all_of(image.values.begin(), image.values.end(), [](float v) { return v >= 0 && v <= 1; }))
        return fail(Code::kInvalidArgument, "{}: 'image' holds values outside [0,1]: divide pixels by 255",
                    where);
    return image;
}

std::string tensor_file(std::span<const FloatTensor> tensors) {
    std::vector<TensorBytes> list;
    for (const FloatTensor& t : tensors)
        list.push_back({t.name,
                        "F32",
                        t.shape,
                        {reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float)}});
    return build_safetensors(list);
}

}  // namespace scopenode::ml
