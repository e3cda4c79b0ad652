#include "storage/dicom/charset.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <iconv.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace scopenode::storage {
namespace {

bool is_plain(const std::string& text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) - 32U < 95U; });
}

// Bytes of the UTF-8 sequence at `at`, 0 when there is none.
std::size_t sequence_at(const std::string& text, std::size_t at) {
    const auto c = static_cast<unsigned char>(text[at]);
    const std::size_t length = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (length == 0 || at + length > text.size()) return 0;
    for (std::size_t k = 1; k < length; ++k)
        if ((static_cast<unsigned char>(text[at + k]) >> 6) != 2) return 0;
    if (length < 3) return length;
    const auto second = static_cast<unsigned char>(text[at + 1]);
    const bool overlong = (c == 0xE0 && second < 0xA0) || (c == 0xF0 && second < 0x90);
    const bool outside = (c == 0xED && second > 0x9F) || (c == 0xF4 && second > 0x8F);
    return overlong || outside ? 0 : length;
}

void append_code(std::string& out, unsigned code) {
    if (code < 0x800) {
        out += static_cast<char>(0xC0 | code >> 6);
    } else {
        out += static_cast<char>(0xE0 | code >> 12);
        out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    }
    out += static_cast<char>(0x80 | (code & 0x3F));
}

std::string made_valid(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        const std::size_t length = sequence_at(text, i);
        if (length == 0)
            append_code(out, c);
        else if (length > 1 || (c >= 32 && c != 127))
            out.append(text, i, length);
        i += std::max<std::size_t>(length, 1);
    }
    return out;
}

struct CloseConverter {
    void operator()(void* converter) const { iconv_close(converter); }
};

// Debian's DCMTK has no Japanese: the C library's ISO-2022-JP-2 takes the escapes, half-width katakana are
// bytes.
std::optional<std::string> from_japanese(const std::string& raw) {
    const iconv_t opened = iconv_open("UTF-8", "ISO-2022-JP-2");
    if (opened == iconv_t(-1)) return std::nullopt;
    const std::unique_ptr<void, CloseConverter> converter(opened);
    std::string out;
    const auto convert = [&](std::string part) {
        std::string room(part.size() * 4 + 16, '\0');
        char *in = part.data(), *to = room.data();
        std::size_t left = part.size(), space = room.size();
        if (iconv(opened, &in, &left, &to, &space) == std::size_t(-1)) return false;
        out.append(room.data(), room.size() - space);
        return true;
    };
    std::string part;
    for (const char c : raw) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0xA1 || byte > 0xDF) {
            part += c;
            continue;
        }
        if (!convert(std::exchange(part, ""))) return std::nullopt;
        append_code(out, 0xFF61U + byte - 0xA1U);
    }
    if (!convert(std::move(part))) return std::nullopt;
    return out;
}

bool is_japanese(const std::string& charset) {
    for (const char* name : {"IR 87", "IR 13", "IR 159", "IR_13"})
        if (charset.find(name) != std::string::npos) return true;
    return false;
}

}  // namespace

std::string to_utf8(const std::string& raw, const std::string& charset) {
    if (is_plain(raw)) return raw;
    if (charset.empty() || charset == "ISO_IR 192" || charset == "ISO_IR 6") return made_valid(raw);
    if (is_japanese(charset)) return made_valid(from_japanese(raw).value_or(raw));
    DcmSpecificCharacterSet set;
    OFString out;
    if (set.selectCharacterSet(charset.c_str()).good() &&
        set.convertString(OFString(raw.data(), raw.size()), out, "\\^=").good())
        return made_valid(std::string(out.data(), out.size()));
    return made_valid(raw);
}

}  // namespace scopenode::storage
