#pragma once
#include <functional>

#include "ml/figures/figures.h"
#include "ml/figures/page.h"

namespace scopenode::ml {

/// A figure that was drawn and not yet written.
struct Drawn {
    Figure figure;
    Page page;
};
/// Takes them one after the other: a page with many panels is tens of megabytes.
using TakeFigure = std::function<Status(Drawn&&)>;

/// All figures in the order of the page, by the functions below.
Status draw_figures(const FigureSource& source, const TakeFigure& take);

Drawn draw_grad_cam_overview(const FigureSource& source);
Drawn draw_grad_cam(const FigureSource& source, std::size_t label);
Drawn draw_ablation(const FigureSource& source);
Drawn draw_similarity(const FigureSource& source);
Drawn draw_features(const FigureSource& source, const BackboneView& backbone);
Drawn draw_attention(const FigureSource& source, const BlockAttention& attention, bool first);

/// explain.json and explain.safetensors.
Status write_numbers(const FigureSource& source, const std::vector<Figure>& figures,
                     const std::filesystem::path& folder);
/// index.html
std::string gallery_html(const FigureSource& source, const std::vector<Figure>& figures);

/// "xception 2" as part of a file or tensor name: "xception_2".
std::string as_name(const std::string& words);
/// "efficientnet_b5 2" for a person: "EfficientNet-B5 2".
std::string shown_name(const std::string& backbone);

}  // namespace scopenode::ml
