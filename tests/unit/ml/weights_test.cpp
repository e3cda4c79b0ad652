#include <cstring>
#include <limits>

#include <doctest/doctest.h>

#include "base/core/ids.h"
#include "ml/model.h"
#include "ml/safetensors.h"
#include "tests/unit/ml/nano_files.h"

using namespace scopenode;
using namespace scopenode::ml;

namespace {

std::string file_of(const std::string& header, const std::string& data) {
    std::string file;
    for (std::size_t i = 0; i < 8; ++i) file.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xff));
    return file + header + data;
}

std::string fault_of(const std::string& file) {
    const auto parsed = parse_safetensors(file, "here");
    if (parsed) return "";
    CHECK(parsed.error().code == Code::kDamagedModel);
    CHECK(parsed.error().message.rfind("here", 0) == 0);
    return parsed.error().message;
}

bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

/// What loading says of weights whose manifest was written for them.
std::string fault_of_model(const std::string& weights) {
    ModelFiles files = test::nano_files();
    files.weights = weights;
    auto manifest = parse_manifest(files.manifest_json);
    REQUIRE(manifest);
    manifest->weights_sha256 = sha256_hex(weights);
    files.manifest_json = manifest_json(*manifest);
    const auto model = Model::load(files, {"cpu", 1, 2});
    REQUIRE_FALSE(model);
    CHECK(model.error().code == Code::kDamagedModel);
    CHECK(has(model.error().message, "weights.safetensors"));
    return model.error().message;
}

}  // namespace

TEST_CASE("A safetensors file comes back as it was written") {
    const std::string a(8, 'a'), b(12, 'b');
    const std::vector<TensorBytes> tensors{
        {"first", "F32", {2}, a}, {"none", "F32", {0, 3}, {}}, {"x.y", "F32", {1, 3}, b}};
    const std::string file = build_safetensors(tensors);
    const auto parsed = parse_safetensors(file, "here");
    REQUIRE(parsed);
    REQUIRE(parsed->size() == 3);
    CHECK((*parsed)[0].name == "first");
    CHECK((*parsed)[0].bytes == a);
    CHECK((*parsed)[2].shape == std::vector<std::int64_t>{1, 3});
    CHECK((*parsed)[2].bytes == b);
}

TEST_CASE("Every kind of damage in a safetensors file is named") {
    const std::string one = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
    CHECK(fault_of(file_of("{" + one + "}", "1234")).empty());
    CHECK(has(fault_of("1234"), "only 4 bytes"));
    CHECK(has(fault_of(file_of("{", "")), "not a JSON object"));
    CHECK(has(fault_of(file_of("[]", "")), "not a JSON object"));
    CHECK(has(fault_of(std::string("\xff\xff\xff\xff\x00\x00\x00\x00{}", 10)), "claims"));
    CHECK(has(fault_of(std::string("\x40\x00\x00\x00\x00\x00\x00\x00{}", 10)), "inside their header"));
    CHECK(has(fault_of(file_of("{" + one + "}", "123")), "outside the file"));
    CHECK(has(fault_of(file_of("{" + one + "}", "12345")), "follow the last tensor"));
    CHECK(has(fault_of(file_of("{" + one + "," + one + "}", "1234")), "twice"));
    CHECK(has(
        fault_of(file_of("{" + one + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})", "123456")),
        "overlaps"));
    CHECK(has(fault_of(file_of("{" + one + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[6,10]}})",
                               "1234567890")),
              "hole"));
    CHECK(has(fault_of(file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234")),
              "does not fit"));
    CHECK(has(fault_of(file_of(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", "1234")),
              "unknown type"));
    CHECK(has(fault_of(file_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234")),
              "list of sizes"));
    CHECK(has(fault_of(file_of(
                  R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", "1234")),
              "impossible"));
    CHECK(has(fault_of(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234")),
              "outside"));
    CHECK(has(fault_of(file_of(R"({"a":{"shape":[1]}})", "")), "lacks"));
    CHECK(has(fault_of(file_of(R"({"a":7})", "")), "lacks"));
}

TEST_CASE("Damaged weights of a model are refused with the file and the fault") {
    const std::string& good = test::nano_files().weights;
    CHECK(has(fault_of_model(good.substr(0, good.size() - 10)), "outside the file"));
    CHECK(has(fault_of_model(good.substr(0, 100)), "inside their header"));

    std::string not_a_number = good;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(not_a_number.data() + not_a_number.size() - sizeof(nan), &nan, sizeof(nan));
    CHECK(has(fault_of_model(not_a_number), "not a number"));

    const auto parsed = parse_safetensors(good, "here");
    REQUIRE(parsed);
    std::vector<TensorBytes> tensors = *parsed;
    tensors.pop_back();
    CHECK(has(fault_of_model(build_safetensors(tensors)), "missing"));
    tensors = *parsed;
    tensors.push_back({"one.more", "F32", {1}, "1234"});
    CHECK(has(fault_of_model(build_safetensors(tensors)), "has no tensor 'one.more'"));
    tensors = *parsed;
    tensors.back().shape.push_back(1);
    CHECK(has(fault_of_model(build_safetensors(tensors)), "another shape"));
    tensors = *parsed;
    tensors.back().dtype = "I32";
    CHECK(has(fault_of_model(build_safetensors(tensors)), "not F32"));

    ModelFiles exchanged = test::nano_files();
    exchanged.weights.back() = static_cast<char>(exchanged.weights.back() ^ 1);
    const auto model = Model::load(exchanged, {"cpu", 1, 2});
    REQUIRE_FALSE(model);
    CHECK(model.error().code == Code::kDamagedModel);
    CHECK(has(model.error().message, "sha256"));
}
