#include "storage/dicom/decode_protocol.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "storage/dicom/pixels.h"

namespace scopenode::storage {
namespace {

constexpr std::uint32_t kRequestMark = 0x51455244, kAnswerMark = 0x534E5244;
constexpr std::size_t kLongestPath = 4096;

constexpr Code kCodes[] = {
#define SCOPENODE_ERROR(code, word, http, dimse, retryable) Code::code,
#include "base/core/errors.def"
#undef SCOPENODE_ERROR
};

template <std::size_t N>
std::string words(const std::array<std::uint32_t, N>& numbers) {
    std::string bytes(4 * N, '\0');
    std::memcpy(bytes.data(), numbers.data(), bytes.size());
    return bytes;
}

template <std::size_t N>
std::array<std::uint32_t, N / 4> numbers(std::span<const char, N> bytes) {
    std::array<std::uint32_t, N / 4> out{};
    std::memcpy(out.data(), bytes.data(), N);
    return out;
}

}  // namespace

std::string request_head(const DecodeRequest& request) {
    return words<3>({kRequestMark, request.rescale == Rescale::kRsnaQuirk ? 1U : 0U,
                     static_cast<std::uint32_t>(request.path_bytes)});
}

Result<DecodeRequest> parse_request(std::span<const char, kRequestBytes> bytes) {
    const auto [mark, rescale, path_bytes] = numbers(bytes);
    if (mark != kRequestMark || rescale > 1 || path_bytes == 0 || path_bytes > kLongestPath)
        return fail(Code::kCannotUnderstand, "this is no request to decode an image");
    return DecodeRequest{rescale == 1 ? Rescale::kRsnaQuirk : Rescale::kAsTold, path_bytes};
}

std::string answer_head(const DecodeAnswer& answer) {
    const std::uint32_t code = answer.failed ? static_cast<std::uint32_t>(*answer.failed) + 1 : 0;
    return words<5>({kAnswerMark, code, static_cast<std::uint32_t>(answer.width),
                     static_cast<std::uint32_t>(answer.height),
                     static_cast<std::uint32_t>(answer.text_bytes)});
}

Result<DecodeAnswer> parse_answer(std::span<const char, kAnswerBytes> bytes) {
    const auto [mark, code, width, height, text_bytes] = numbers(bytes);
    const auto nonsense = fail(Code::kCannotUnderstand, "this is no answer of a decoding process");
    if (mark != kAnswerMark) return nonsense;
    if (code == 0) {
        // Rows and columns are 16 bits in DICOM.
        const bool fits = width > 0 && height > 0 && width <= 0xFFFF && height <= 0xFFFF &&
                          static_cast<long>(width) * static_cast<long>(height) <= kMostPixels;
        if (!fits || text_bytes != 0) return nonsense;
        return DecodeAnswer{std::nullopt, static_cast<int>(width), static_cast<int>(height), 0};
    }
    if (code > std::size(kCodes) || width != 0 || height != 0 || text_bytes == 0 ||
        text_bytes > kLongestSentence)
        return nonsense;
    return DecodeAnswer{kCodes[code - 1], 0, 0, text_bytes};
}

std::string printable_sentence(std::string_view text) {
    std::string out(text.substr(0, kLongestSentence));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return out;
}

}  // namespace scopenode::storage
