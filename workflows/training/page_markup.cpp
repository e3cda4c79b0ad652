#include "workflows/training/page_markup.h"

#include <fmt/format.h>
#include <cmath>
#include <cstdint>

namespace scopenode::workflows {
namespace {

/// Length of the well-formed character of XML at the start of `text`; 0 when there is none.
std::size_t character_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
    };
    const std::uint32_t first = byte(0);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0 || length > text.size()) return 0;
    if (length == 1) return (first >= 0x20 && first != 0x7F) || first == '\t' || first == '\n' ? 1 : 0;
    std::uint32_t code = first & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return 0;
        code = code << 6U | (byte(i) & 0x3FU);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    // Marks that turn the direction of what follows could make a name read as another one.
    const bool turning = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
    const bool no_character =
        code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF || (code >= 0x80 && code < 0xA0);
    return code < kSmallest[length] || surrogate || turning || no_character ? 0 : length;
}

std::string with_minus(std::string text) {
    if (!text.empty() && text.front() == '-') text.replace(0, 1, "\u2212");
    return text;
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        if (length == 0)
            out += "\uFFFD";
        else if (text[0] == '&')
            out += "&amp;";
        else if (text[0] == '<')
            out += "&lt;";
        else if (text[0] == '>')
            out += "&gt;";
        else if (text[0] == '"')
            out += "&quot;";
        else if (text[0] == '\'')
            out += "&#39;";
        else
            out += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

std::string plain_text(double value, int digits) {
    return std::isfinite(value) ? with_minus(fmt::format("{:.{}f}", value, digits)) : "\u2013";
}

std::string signed_text(double value, int digits) {
    return std::isfinite(value) ? with_minus(fmt::format("{:+.{}f}", value, digits)) : "\u2013";
}

std::string keyed(const std::string& pointer, double value, int digits) {
    return fmt::format("<span data-key=\"{}\">{}</span>", escaped(pointer), plain_text(value, digits));
}

std::string keyed(const std::string& pointer, long value) {
    return fmt::format("<span data-key=\"{}\">{}</span>", escaped(pointer), value);
}

}  // namespace scopenode::workflows
