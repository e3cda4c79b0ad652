#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "storage/dicom/rescale.h"

namespace scopenode::storage {

/// What a PixelReader and its decoding process say to each other, over two pipes of one machine:
///   child: kHello;  reader: request head, path;  child: answer head, then pixels or a sentence;  and again.
/// The child may have been taken over by a hostile image: nothing it says is believed unchecked.
inline constexpr std::string_view kHello = "decoder 1\n";

struct DecodeRequest {
    Rescale rescale = Rescale::kAsTold;
    std::size_t path_bytes = 0;
};
inline constexpr std::size_t kRequestBytes = 12;
std::string request_head(const DecodeRequest& request);
Result<DecodeRequest> parse_request(std::span<const char, kRequestBytes> bytes);

/// Either width and height, then width * height floats follow; or a code, then text_bytes of text.
struct DecodeAnswer {
    std::optional<Code> failed;
    int width = 0, height = 0;
    std::size_t text_bytes = 0;
};
inline constexpr std::size_t kAnswerBytes = 20;
std::string answer_head(const DecodeAnswer& answer);
Result<DecodeAnswer> parse_answer(std::span<const char, kAnswerBytes> bytes);

/// The child's sentence as it may stand in a log: cut, and without control characters.
std::string printable_sentence(std::string_view text);
inline constexpr std::size_t kLongestSentence = 1000;

}  // namespace scopenode::storage
