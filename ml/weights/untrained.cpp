#include "ml/weights/untrained.h"

#include <algorithm>

#include "base/core/ids.h"

namespace scopenode::ml {
namespace {

std::string card_of(const Manifest& manifest) {
    std::string card = fmt::format(
        "# {}\n\nThis model is {}. Its findings mean nothing until it has been trained: it is a start for\n"
        "`scopenode train run --from`.\n\n## Imported weights\n",
        manifest.name, kNotTrained);
    for (std::size_t i = 0; i < manifest.preset.backbones.size(); ++i) {
        const auto source =
            std::find_if(manifest.sources.begin(), manifest.sources.end(),
                         [&](const WeightsSource& each) { return each.number == int(i) + 1; });
        card += fmt::format("- backbone {} ({}): ", i + 1, manifest.preset.backbones[i].name);
        if (source == manifest.sources.end()) {
            card += "random weights\n";
            continue;
        }
        card += fmt::format("{} ({}), sha256 {}, licence: {}", source->file, source->format, source->sha256,
                            source->licence);
        if (!source->unused.empty())
            card += fmt::format("; left unused: {}", fmt::join(source->unused, ", "));
        card += "\n";
    }
    return card;
}

void note_source(Manifest& manifest, std::size_t place, const UntrainedOptions& options,
                 const ImportedWeights& imported) {
    WeightsSource source{options.backbone, int(place) + 1,
                         imported.file,    imported.format,
                         imported.sha256,  options.licence.empty() ? "not stated" : options.licence,
                         imported.unused};
    std::erase_if(manifest.sources, [&](const WeightsSource& each) { return each.number == source.number; });
    manifest.sources.push_back(std::move(source));
    std::sort(manifest.sources.begin(), manifest.sources.end(),
              [](const WeightsSource& a, const WeightsSource& b) { return a.number < b.number; });
}

}  // namespace

Result<ModelFiles> random_model(const Preset& preset, std::uint64_t seed) {
    ModelFiles files;
    SCOPENODE_ASSIGN(files.weights, first_weights(preset, seed));
    Manifest manifest;
    manifest.preset = preset;
    manifest.name = preset.name + " (not trained)";
    manifest.data_snapshot = kNotTrained;
    manifest.weights_sha256 = sha256_hex(files.weights);
    files.manifest_json = manifest_json(manifest);
    files.card =
        fmt::format("# {}\n\nRandom weights of seed {}: its scores mean nothing.\n", manifest.name, seed);
    files.where = preset.name;
    return files;
}

Result<std::vector<std::size_t>> places_of(const Preset& preset, const std::string& backbone, int copy) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < preset.backbones.size(); ++i)
        if (preset.backbones[i].name == backbone) places.push_back(i);
    if (places.empty()) {
        std::string all;
        for (const auto& each : preset.backbones) all += (all.empty() ? "" : ", ") + each.name;
        return fail(Code::kInvalidArgument, "preset {} has no backbone {}; it has {}", preset.name, backbone,
                    all);
    }
    if (copy < 0 || std::size_t(copy) > places.size())
        return fail(Code::kInvalidArgument, "preset {} has {} {} of {}: --copy is from 1 to {}", preset.name,
                    places.size(), places.size() == 1 ? "copy" : "copies", backbone, places.size());
    if (copy > 0) places = {places[std::size_t(copy) - 1]};
    for (const std::size_t place : places)
        if (preset.backbones[place].width != 1 || preset.backbones[place].depth != 1)
            return fail(Code::kInvalidArgument,
                        "preset {} has a narrowed {} (width {}, depth {}), which published weights do not "
                        "fit: choose a "
                        "preset that has the whole network",
                        preset.name, backbone, preset.backbones[place].width, preset.backbones[place].depth);
    return places;
}

Status check_before(const UntrainedOptions& options, const ModelFiles& before) {
    SCOPENODE_ASSIGN(const Manifest manifest, parse_manifest(before.manifest_json));
    if (preset_json(manifest.preset) != preset_json(options.preset))
        return fail(Code::kConflict, "{} is a model of preset {}, not {}: give another folder or preset",
                    before.where, manifest.preset.name, options.preset.name);
    if (manifest.trained())
        return fail(Code::kConflict,
                    "{} is a trained model, which another backbone would make worthless: give a new folder",
                    before.where);
    if (sha256_hex(before.weights) != manifest.weights_sha256)
        return fail(Code::kDamagedModel,
                    "{}: weights.safetensors is not what model.json says: give a new folder", before.where);
    return {};
}

Result<ModelFiles> untrained_model(const UntrainedOptions& options, const ImportedWeights& imported,
                                   const std::optional<ModelFiles>& before) {
    SCOPENODE_ASSIGN(const auto places, places_of(options.preset, options.backbone, options.copy));
    Manifest manifest;
    ModelFiles files;
    if (before) {
        SCOPENODE_TRY(check_before(options, *before));
        SCOPENODE_ASSIGN(manifest, parse_manifest(before->manifest_json));
        files = *before;
    } else {
        manifest.preset = options.preset;
        manifest.name = options.preset.name + " (not trained)";
        manifest.data_snapshot = kNotTrained;
        SCOPENODE_ASSIGN(files.weights, first_weights(options.preset, options.seed));
    }
    for (const std::size_t place : places) {
        SCOPENODE_ASSIGN(files.weights,
                         with_backbone(options.preset, files.weights, place, imported.tensors));
        note_source(manifest, place, options, imported);
    }
    manifest.weights_sha256 = sha256_hex(files.weights);
    files.manifest_json = manifest_json(manifest);
    files.metrics_json.clear();
    files.card = card_of(manifest);
    return files;
}

}  // namespace scopenode::ml
