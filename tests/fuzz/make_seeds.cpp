// usage: make_seeds FOLDER    a corpus for each fuzzer in FOLDER/<fuzzer>/
#include <cstdio>
#include <filesystem>

#include "base/core/files.h"
#include "ml/manifest.h"
#include "ml/preset.h"
#include "ml/weights/import.h"
#include "storage/dicom/decode_protocol.h"
#include "tests/fuzz/weights_seeds.h"
#include "workflows/pixel_look.h"

namespace {

namespace fs = std::filesystem;
using namespace scopenode;

class Seeds {
  public:
    explicit Seeds(fs::path folder) : folder_(std::move(folder)) {}
    fs::path place(const std::string& fuzzer) {
        fs::create_directories(folder_ / fuzzer);
        return folder_ / fuzzer / fmt::format("seed{}", number_++);
    }
    void add(const std::string& fuzzer, const std::string& bytes) {
        if (const auto written = write_file(real_files(), place(fuzzer), bytes); !written)
            throw std::runtime_error(written.error().message);
    }

  private:
    fs::path folder_;
    int number_ = 0;
};

/// The layers as keras_tree_fuzz.cpp reads them.
std::string tree_text(const std::vector<test::H5Layer>& layers, const std::string& top) {
    std::string names = top + "|layer_names", text;
    for (const auto& layer : layers) {
        names += "|" + layer.name;
        text += top + "/" + layer.name + "|weight_names";
        for (const auto& weight : layer.weights) text += "|" + weight.name;
        text += "\n";
    }
    return top + "\n" + names + "\n" + text;
}

/// A seed that is refused would not lead a fuzzer far.
void must_map(const test::CutNetwork& network, const std::string& file, ml::WeightsFormat format) {
    const auto mapped = ml::map_weights(file, format, "seed", network.backbone, network.targets);
    if (!mapped) throw std::runtime_error(mapped.error().message);
}

void weights(Seeds& seeds) {
    char number = 0;
    for (const auto& network : test::cut_networks()) {
        const auto choice = [&](int extra) { return std::string(1, char(number + extra)); };
        if (!network.torch.empty()) must_map(network, network.torch, ml::WeightsFormat::kSafetensors);
        must_map(network, test::flat_file(network.keras), ml::WeightsFormat::kH5);
        if (!network.torch.empty()) seeds.add("safetensors_fuzz", choice(0) + network.torch);
        seeds.add("safetensors_fuzz", choice(4) + test::flat_file(network.keras));
        seeds.add("keras_tree_fuzz", choice(0) + tree_text(network.keras, ""));
        seeds.add("keras_tree_fuzz", choice(0) + tree_text(network.keras, "/model_weights"));
        const std::vector<test::H5Layer> few(network.keras.begin(), network.keras.begin() + 6);
        const test::H5Options forms[] = {
            {}, {.chunk = 2}, {.variable_texts = true}, {.top = "/model_weights", .chunk = 3}};
        for (const auto& form : forms) test::write_h5(seeds.place("keras_h5_fuzz"), few, form);
        ++number;
    }
}

void json(Seeds& seeds) {
    for (const std::string& name : ml::preset_names()) {
        ml::Manifest manifest;
        manifest.preset = ml::find_preset(name).value();
        manifest.name = name;
        manifest.weights_sha256 = std::string(64, 'a');
        manifest.sources = {
            {"xception", 1, "a.h5", "Keras HDF5", std::string(64, 'b'), "MIT", {"predictions/kernel"}}};
        seeds.add("model_json_fuzz", ml::preset_json(manifest.preset));
        seeds.add("model_json_fuzz", ml::manifest_json(manifest));
    }
    seeds.add("model_json_fuzz", R"({"tokens": [[[[[[]]]]]]})");
}

void pixels(Seeds& seeds) {
    HuImage image{24, 16, std::vector<float>(24 * 16, 33)};
    seeds.add("pixel_look_fuzz", workflows::look_json(workflows::look_at(image)));
    seeds.add("decode_protocol_fuzz", storage::answer_head({std::nullopt, 512, 512, 0}));
    seeds.add("decode_protocol_fuzz", storage::answer_head({Code::kUnsupported, 0, 0, 9}) + "no decoder");
    seeds.add("decode_protocol_fuzz",
              storage::request_head({storage::Rescale::kAsTold, 20}) + "/somewhere/slice.dcm");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: make_seeds FOLDER\n");
        return 2;
    }
    Seeds seeds(argv[1]);
    weights(seeds);
    json(seeds);
    pixels(seeds);
    return 0;
}
