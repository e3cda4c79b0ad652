// What a decoding process may say: an answer that is accepted is within bounds and is written the same again.
#include <cstdlib>

#include "storage/dicom/decode_protocol.h"
#include "storage/dicom/pixels.h"

using namespace scopenode::storage;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const char* bytes = reinterpret_cast<const char*>(data);
    if (size >= kAnswerBytes)
        if (const auto answer = parse_answer(std::span<const char, kAnswerBytes>(bytes, kAnswerBytes))) {
            if (answer_head(*answer) != std::string(bytes, kAnswerBytes)) std::abort();
            if (long(answer->width) * answer->height > kMostPixels) std::abort();
            if (answer->text_bytes > kLongestSentence) std::abort();
            if (answer->failed.has_value() == (answer->width > 0)) std::abort();
        }
    if (size >= kRequestBytes)
        if (const auto request = parse_request(std::span<const char, kRequestBytes>(bytes, kRequestBytes)))
            if (request_head(*request) != std::string(bytes, kRequestBytes)) std::abort();
    const std::string sentence = printable_sentence({bytes, size});
    if (sentence.size() > kLongestSentence || sentence.find('\n') != sentence.npos) std::abort();
    return 0;
}
