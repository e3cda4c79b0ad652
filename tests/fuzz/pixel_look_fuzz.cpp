// The stored look of a slice as JSON, and looking at a picture of any size and any values.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "workflows/pixel_look.h"

using namespace scopenode;
using namespace scopenode::workflows;

namespace {

void look_at_bytes(const std::uint8_t* data, std::size_t size) {
    HuImage image{1 + data[0], 1 + data[1], {}};
    image.hu.resize(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height));
    for (std::size_t i = 0; i < image.hu.size(); ++i) {
        std::int16_t value = 0;
        std::memcpy(&value, data + 2 + (2 * i) % (size - 3), 2);
        image.hu[i] = std::max(-1024.0F, static_cast<float>(value) * (data[0] % 2 ? 1.0F : 1e4F));
    }
    const SliceLook look = look_at(image);
    if (!parse_look(look_json(look))) std::abort();
    for (const double share : {look.air_share, look.brain_share, look.bone_share, look.ring_share,
                               look.inside_brain, look.body_hollow, look.padding_share})
        if (!(share >= 0 && share <= 1)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto look = parse_look(text)) {
        const std::string written = look_json(*look);
        const auto again = parse_look(written);
        if (!again || look_json(*again) != written) std::abort();
    } else if (look.error().message.empty()) {
        std::abort();
    }
    if (size > 4) look_at_bytes(data, size);
    return 0;
}
