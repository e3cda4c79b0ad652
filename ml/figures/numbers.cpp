#include <nlohmann/json.hpp>

#include <cmath>

#include "base/core/files.h"
#include "ml/figures/draw.h"
#include "ml/figures/grids.h"
#include "ml/weights/image_file.h"

namespace scopenode::ml {
namespace {

using Json = nlohmann::ordered_json;

/// Tensors of 32-bit floats under way to explain.safetensors.
class Tensors {
  public:
    void add(std::string name, std::vector<std::int64_t> shape, std::vector<float> values) {
        all_.push_back({std::move(name), std::move(shape), std::move(values)});
    }
    /// Grids of one size, one after the other; gives their description for the JSON.
    Json add(const std::string& name, std::span<const Grid> grids) {
        if (grids.empty()) return nullptr;
        std::vector<float> values;
        for (const Grid& grid : grids) values.insert(values.end(), grid.values.begin(), grid.values.end());
        const std::vector<std::int64_t> shape{static_cast<std::int64_t>(grids.size()), grids.front().rows,
                                              grids.front().columns};
        const Summary s = summary(values);
        add(name, shape, std::move(values));
        return {{"tensor", name}, {"shape", shape}, {"min", s.min}, {"max", s.max}, {"mean", s.mean}};
    }
    std::string file() const { return tensor_file(all_); }

  private:
    std::vector<FloatTensor> all_;
};

template <class Values>
Json by_label(const Values& values) {
    Json json = Json::object();
    for (std::size_t i = 0; i < kLabelCount; ++i) json[std::string(kLabels[i])] = values[i];
    return json;
}

Json rows_of(const Grid& grid) {
    Json rows = Json::array();
    for (int r = 0; r < grid.rows; ++r) {
        const auto* begin = grid.values.data() + static_cast<std::ptrdiff_t>(r) * grid.columns;
        rows.push_back(std::vector<float>(begin, begin + grid.columns));
    }
    return rows;
}

Json backbone_json(const BackboneView& backbone, Tensors& tensors) {
    const std::string name = as_name(backbone.name);
    Json json{
        {"name", backbone.name}, {"channels", backbone.channels}, {"ablation", by_label(backbone.ablation)}};
    json["features"] = tensors.add("features." + name, backbone.features);
    json["feature_channels"] = backbone.feature_channels;
    json["grad_cam"] = tensors.add("grad_cam." + name, backbone.grad_cam);
    for (std::size_t i = 0; i < kLabelCount; ++i)
        json["grad_cam"]["maps"][std::string(kLabels[i])] = rows_of(backbone.grad_cam[i]);
    return json;
}

Json attention_json(const BlockAttention& attention, const std::string& which, Tensors& tensors) {
    return {{"block", attention.block},
            {"softmax", tensors.add("attention." + which + ".softmax", attention.softmax)},
            {"mixed", tensors.add("attention." + which + ".mixed", attention.mixed)}};
}

Json figures_json(const std::vector<Figure>& figures) {
    Json json = Json::array();
    for (const Figure& f : figures)
        json.push_back({{"file", f.file}, {"title", f.title}, {"caption", f.caption}});
    return json;
}

}  // namespace

Status write_numbers(const FigureSource& source, const std::vector<Figure>& figures,
                     const std::filesystem::path& folder) {
    const Explanation& e = source.explanation;
    Tensors tensors;
    Json json;
    json["notes"] = standing_notes(source);
    json["model"] = {{"id", e.model_id},
                     {"name", source.model_name},
                     {"preset", e.preset},
                     {"demonstration", e.demonstration},
                     {"trained", e.trained}};
    json["slice"] = {{"name", source.slice_name},
                     {"width", source.slice.width},
                     {"height", source.slice.height},
                     {"row_mm", source.row_mm},
                     {"column_mm", source.column_mm}};
    json["probabilities"] = by_label(e.scores);
    json["input"] = tensors.add("input", std::span(&e.input, 1));
    json["block_similarity"] = e.block_similarity;
    json["tokens"] = {{"count", e.tokens}, {"meaning", e.token_meaning}, {"class_token", e.class_token}};
    json["backbones"] = Json::array();
    for (const auto& backbone : e.backbones) json["backbones"].push_back(backbone_json(backbone, tensors));
    json["attention"] = {{"first", attention_json(e.first, "first", tensors)},
                         {"last", attention_json(e.last, "last", tensors)}};
    json["tensors"] = "explain.safetensors";
    json["figures"] = figures_json(figures);
    SCOPENODE_TRY(write_file(real_files(), folder / "explain.safetensors", tensors.file()));
    const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
    return write_file(real_files(), folder / "explain.json", text + "\n");
}

}  // namespace scopenode::ml
