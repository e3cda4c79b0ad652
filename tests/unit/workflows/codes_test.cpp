#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "workflows/results/codes.h"
#include "workflows/results/report.h"

using namespace scopenode;
using namespace scopenode::workflows;

namespace {
nlohmann::json source() {
    const auto text = read_file(std::string(SCOPENODE_SOURCE_DIR) + "/config/codes.json");
    REQUIRE(text);
    return nlohmann::json::parse(*text);
}
}  // namespace

TEST_CASE("the table of codes is sound and sends no code that is not verified") {
    REQUIRE(check_codes());
    const auto& table = CodeTable::embedded();
    const nlohmann::json json = source();
    for (std::size_t i = 0; i < ml::kLabelCount; ++i) {
        const auto& row = json["findings"][std::string(ml::kLabels[i])];
        const auto& sent = row["status"] == "unverified" ? row["instead"] : row;
        CHECK(table.finding(i).sent.code == sent["code"]);
        CHECK(table.finding(i).sent.meaning == sent["meaning"]);
        CHECK(sent["status"] != "unverified");
        // Both the code that is sent and the one that waits for its check are understood.
        const std::string site = sent["site"]["code"];
        CHECK(table.label_of({row["code"], row["scheme"], ""}, site) == static_cast<int>(i));
        CHECK(table.label_of(table.finding(i).sent, site) == static_cast<int>(i));
    }
    for (const auto& [name, row] : json["concepts"].items()) {
        CHECK(table.concept_of(name).code == row["code"]);
        CHECK((row["scheme"] == "99SCOPENODE") == (row["status"] == "private"));
    }
}

TEST_CASE("what nobody has verified is written another way") {
    const auto& table = CodeTable::embedded();
    CHECK(table.finding(3).sent.is("50960005", "SCT"));
    CHECK(table.finding(3).site.is("35764002", "SCT"));
    CHECK(table.finding(1).sent.scheme == "99SCOPENODE");
    CHECK(table.finding(1).sent.meaning == "Epidural intracranial hemorrhage");
    CHECK(table.label_of({"50960005", "SCT", ""}, "12738006") == -1);
    CHECK(table.means("absent", {"2667000", "SCT", ""}));
    CHECK(table.means("source", {"260753009", "SCT", ""}));
    CHECK(table.means("probability", {"111012", "DCM", ""}));
    CHECK_FALSE(table.means("present", {"272519000", "SCT", ""}));
}

TEST_CASE("a person's verdict in the table changes what is sent") {
    nlohmann::json json = source();
    json["findings"]["epidural"]["status"] = "verified";
    const auto table = CodeTable::parse(json.dump());
    REQUIRE(table);
    CHECK(table->finding(1).sent.is("82999001", "SCT"));
}

TEST_CASE("faults in the table of codes are refused") {
    const auto refused = [](auto&& change) {
        nlohmann::json json = source();
        change(json);
        return !CodeTable::parse(json.dump()).has_value();
    };
    CHECK(refused([](auto& j) { j["findings"].erase("subdural"); }));
    CHECK(refused([](auto& j) { j["findings"]["epidural"].erase("instead"); }));
    CHECK(refused([](auto& j) { j["findings"]["any"]["status"] = "perhaps"; }));
    CHECK(refused([](auto& j) { j["findings"]["any"]["meaning"] = ""; }));
    CHECK(refused([](auto& j) { j["findings"]["any"]["code"] = "12345678901234567"; }));
    CHECK(refused([](auto& j) { j["findings"]["any"]["code"] = "35486000"; }));
    CHECK(refused([](auto& j) { j["findings"]["any"]["scheme"] = "99SCOPENODE"; }));
    CHECK(refused([](auto& j) { j["private_scheme"]["uid"] = "1.02"; }));
    CHECK_FALSE(refused([](auto&) {}));
}
