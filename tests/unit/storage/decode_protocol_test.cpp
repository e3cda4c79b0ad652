#include "storage/dicom/decode_protocol.h"

#include <doctest/doctest.h>

#include "storage/dicom/pixels.h"

namespace scopenode::storage {
namespace {

Result<DecodeRequest> request(const std::string& bytes) {
    REQUIRE(bytes.size() == kRequestBytes);
    return parse_request(std::span<const char, kRequestBytes>(bytes.data(), kRequestBytes));
}
Result<DecodeAnswer> answer(const std::string& bytes) {
    REQUIRE(bytes.size() == kAnswerBytes);
    return parse_answer(std::span<const char, kAnswerBytes>(bytes.data(), kAnswerBytes));
}

}  // namespace

TEST_CASE("requests to decode arrive as they were sent") {
    const auto one = request(request_head({Rescale::kRsnaQuirk, 17}));
    REQUIRE(one);
    CHECK(one->rescale == Rescale::kRsnaQuirk);
    CHECK(one->path_bytes == 17);
    CHECK(request(request_head({Rescale::kAsTold, 4096}))->rescale == Rescale::kAsTold);
    CHECK_FALSE(request(request_head({Rescale::kAsTold, 0})));
    CHECK_FALSE(request(request_head({Rescale::kAsTold, 4097})));
    CHECK_FALSE(request(std::string(kRequestBytes, 'x')));
    std::string bent = request_head({Rescale::kAsTold, 17});
    bent[4] = 2;
    CHECK_FALSE(request(bent));
}

TEST_CASE("answers of a decoding process are believed only where they can be") {
    const auto image = answer(answer_head({std::nullopt, 512, 256, 0}));
    REQUIRE(image);
    CHECK_FALSE(image->failed);
    CHECK(image->width == 512);
    CHECK(image->height == 256);
    const auto failed = answer(answer_head({Code::kUnsupported, 0, 0, 40}));
    REQUIRE(failed);
    CHECK(failed->failed == Code::kUnsupported);
    CHECK(failed->text_bytes == 40);
    CHECK(answer(answer_head({Code::kInternal, 0, 0, 1}))->failed == Code::kInternal);
    CHECK(answer(answer_head({Code::kInvalidArgument, 0, 0, 1}))->failed == Code::kInvalidArgument);

    CHECK_FALSE(answer(std::string(kAnswerBytes, '\0')));
    CHECK_FALSE(answer(answer_head({std::nullopt, 0, 256, 0})));
    CHECK_FALSE(answer(answer_head({std::nullopt, -1, 256, 0})));
    CHECK_FALSE(answer(answer_head({std::nullopt, 60000, 60000, 0})));
    CHECK_FALSE(answer(answer_head({std::nullopt, 512, 512, 1})));
    CHECK_FALSE(answer(answer_head({Code::kUnsupported, 0, 0, 0})));
    CHECK_FALSE(answer(answer_head({Code::kUnsupported, 0, 0, kLongestSentence + 1})));
    CHECK_FALSE(answer(answer_head({Code::kUnsupported, 1, 0, 10})));
    CHECK_FALSE(answer(answer_head({static_cast<Code>(1000), 0, 0, 10})));
}

TEST_CASE("a sentence of a decoding process cannot write lines of its own") {
    CHECK(printable_sentence("a\nb\x1b[31m\x7f") == "a?b?[31m?");
    CHECK(printable_sentence(std::string(5000, 'a')).size() == kLongestSentence);
}

}  // namespace scopenode::storage
