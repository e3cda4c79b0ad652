// The JSON of presets and manifests: what is accepted is written and read again as the same.
#include <cstdlib>

#include "ml/manifest.h"
#include "ml/preset.h"

using namespace scopenode;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto preset = ml::parse_preset(text)) {
        const std::string written = ml::preset_json(*preset);
        const auto again = ml::parse_preset(written);
        if (!again || ml::preset_json(*again) != written) std::abort();
    } else if (preset.error().message.empty()) {
        std::abort();
    }
    if (const auto manifest = ml::parse_manifest(text)) {
        const std::string written = ml::manifest_json(*manifest);
        const auto again = ml::parse_manifest(written);
        if (!again || ml::manifest_json(*again) != written) std::abort();
    } else if (manifest.error().message.empty()) {
        std::abort();
    }
    return 0;
}
