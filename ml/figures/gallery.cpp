#include "ml/figures/draw.h"
#include "ml/figures/grids.h"

namespace scopenode::ml {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

constexpr const char* kStyle =
    "body{font:15px/1.5 'DejaVu "
    "Sans',Verdana,sans-serif;color:#21242b;background:#fff;max-width:1280px;margin:32px auto;"
    "padding:0 24px}h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:40px 0 4px}p{margin:4px 0 "
    "12px;color:#555a63;"
    "max-width:70em}p.warning{color:#991f1a;font-weight:bold}img{max-width:100%;height:auto;border:1px solid "
    "#ccced4}"
    "table{border-collapse:collapse;margin:16px 0}td,th{padding:3px 18px 3px "
    "0;text-align:left;font-weight:normal;"
    "border-bottom:1px solid #e3e4e8}td{font-weight:bold;text-align:right}code{font-size:13px}";

}  // namespace

std::string gallery_html(const FigureSource& source, const std::vector<Figure>& figures) {
    std::string warning;
    for (const auto& note : standing_notes(source)) warning += (warning.empty() ? "" : " ") + escaped(note);
    std::string html = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width\">\n<title>Slice {0}: what the model looked "
        "at</title>\n<style>{1}</style>\n</head>\n"
        "<body>\n<h1>What the model looked at</h1>\n<p>Slice {0}<br>{2}</p>\n<p "
        "class=\"warning\">{3}</p>\n<table>\n",
        escaped(source.slice_name), kStyle, escaped(model_words(source)), warning);
    for (std::size_t i = 0; i < kLabelCount; ++i)
        html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", kLabels[i],
                            escaped(probability(static_cast<double>(source.explanation.scores[i]))));
    html += "</table>\n<p>Raw probabilities of this slice, not calibrated.</p>\n";
    for (const Figure& figure : figures)
        html += fmt::format(
            "<h2>{0}</h2>\n<p>{1}</p>\n<a href=\"{2}\"><img src=\"{2}\" alt=\"{0}\" loading=\"lazy\"></a>\n",
            escaped(figure.title), escaped(figure.caption), escaped(figure.file));
    html +=
        "<h2>Numbers</h2>\n<p><a href=\"explain.json\">explain.json</a> holds the numbers and describes the "
        "tensors of <a "
        "href=\"explain.safetensors\">explain.safetensors</a> (read with any safetensors "
        "library).</p>\n</body>\n</html>\n";
    return html;
}

}  // namespace scopenode::ml
