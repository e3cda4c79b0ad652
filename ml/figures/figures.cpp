#include "ml/figures/figures.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/core/files.h"
#include "ml/figures/draw.h"

namespace scopenode::ml {
namespace {

Status check_grids(std::span<const Grid> grids, const std::string& what) {
    for (const Grid& g : grids)
        if (g.rows < 1 || g.columns < 1 || g.rows != grids.front().rows ||
            g.columns != grids.front().columns ||
            g.values.size() != static_cast<std::size_t>(g.rows) * static_cast<std::size_t>(g.columns))
            return fail(Code::kInvalidArgument, "{}: {} x {} does not fit {} values or its neighbours", what,
                        g.rows, g.columns, g.values.size());
    return {};
}

Status check_attention(const Explanation& e, const BlockAttention& attention, const std::string& what) {
    SCOPENODE_TRY(check_grids(attention.softmax, what));
    SCOPENODE_TRY(check_grids(attention.mixed, what));
    for (const auto* heads : {&attention.softmax, &attention.mixed})
        if (!heads->empty() && (heads->front().rows != e.tokens || heads->front().columns != e.tokens))
            return fail(Code::kInvalidArgument, "{}: {} x {} for {} tokens", what, heads->front().rows,
                        heads->front().columns, e.tokens);
    if (!attention.mixed.empty() && attention.mixed.size() != attention.softmax.size())
        return fail(Code::kInvalidArgument, "{}: {} heads before M and {} after", what,
                    attention.softmax.size(), attention.mixed.size());
    return {};
}

Status check(const FigureSource& source) {
    const HuImage& slice = source.slice;
    if (slice.width < 1 || slice.height < 1 ||
        slice.hu.size() != static_cast<std::size_t>(slice.width) * static_cast<std::size_t>(slice.height))
        return fail(Code::kInvalidArgument, "slice of {} x {} with {} pixels", slice.width, slice.height,
                    slice.hu.size());
    if (!(source.row_mm > 0) || !(source.column_mm > 0) || source.row_mm / source.column_mm > 20 ||
        source.column_mm / source.row_mm > 20)
        return fail(Code::kInvalidArgument, "pixel spacing {} x {} mm", source.row_mm, source.column_mm);
    const Explanation& e = source.explanation;
    SCOPENODE_TRY(check_grids(std::span(&e.input, 1), "input"));
    for (const auto& backbone : e.backbones) {
        SCOPENODE_TRY(check_grids(backbone.features, backbone.name + " features"));
        SCOPENODE_TRY(check_grids(backbone.grad_cam, backbone.name + " Grad-CAM"));
    }
    SCOPENODE_TRY(check_attention(e, e.first, "attention of the first block"));
    return check_attention(e, e.last, "attention of the last block");
}

}  // namespace

std::string as_name(const std::string& words) {
    std::string name = words;
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c) && c != '_'; }, '_');
    return name;
}

std::string shown_name(const std::string& backbone) {
    static const std::array<std::pair<std::string_view, std::string_view>, 4> names{
        {{"xception", "Xception"},
         {"efficientnet_b5", "EfficientNet-B5"},
         {"resnet152v2", "ResNet152V2"},
         {"densenet201", "DenseNet201"}}};
    for (const auto& [name, shown] : names)
        if (backbone == name || backbone.starts_with(std::string(name) + " "))
            return std::string(shown) + backbone.substr(name.size());
    return backbone;
}

Status draw_figures(const FigureSource& source, const TakeFigure& take) {
    SCOPENODE_TRY(check(source));
    const Explanation& e = source.explanation;
    if (!e.backbones.empty()) {
        SCOPENODE_TRY(take(draw_grad_cam_overview(source)));
        for (std::size_t label = 0; label < kLabelCount; ++label)
            SCOPENODE_TRY(take(draw_grad_cam(source, label)));
        SCOPENODE_TRY(take(draw_ablation(source)));
    }
    for (const auto& backbone : e.backbones) SCOPENODE_TRY(take(draw_features(source, backbone)));
    if (!e.block_similarity.empty()) SCOPENODE_TRY(take(draw_similarity(source)));
    if (!e.first.softmax.empty()) SCOPENODE_TRY(take(draw_attention(source, e.first, true)));
    if (!e.last.softmax.empty()) SCOPENODE_TRY(take(draw_attention(source, e.last, false)));
    return {};
}

Result<std::vector<Figure>> write_figures(const FigureSource& source, const std::filesystem::path& folder) {
    return guard(Code::kInternal, [&]() -> Result<std::vector<Figure>> {
        std::vector<Figure> figures;
        SCOPENODE_TRY(draw_figures(source, [&](Drawn&& drawn) -> Status {
            SCOPENODE_TRY(drawn.page.canvas.save(folder / drawn.figure.file));
            figures.push_back(std::move(drawn.figure));
            return {};
        }));
        SCOPENODE_TRY(write_numbers(source, figures, folder));
        SCOPENODE_TRY(write_file(real_files(), folder / "index.html", gallery_html(source, figures)));
        return figures;
    });
}

}  // namespace scopenode::ml
