#include "config/settings.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"

using namespace scopenode;
using namespace scopenode::config;
using nlohmann::json;

namespace {

std::string faults_of(const json& document) {
    std::string all;
    for (const Fault& fault : check_settings(document.dump()).faults)
        all += fault.pointer + " " + fault.text + "\n";
    return all;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

json defaults() {
    return json::parse(settings_json(Settings{}));
}

}  // namespace

TEST_CASE("defaults are the contract's and pass their own check") {
    const Checked checked = check_settings(settings_json(Settings{}));
    CHECK(checked.faults.empty());
    CHECK(checked.settings.dimse.ae_title == "SCOPENODE");
    CHECK(checked.settings.dimse.port == 11112);
    CHECK(checked.settings.http.port == 8080);
    CHECK(checked.settings.intake.quiet_seconds == 30);
    CHECK(checked.settings.dimse.max_associations == 32);
    CHECK(checked.settings.intake.minimum_slices == 8);
    CHECK(check_settings("{}").faults.empty());
}

namespace {

/// Another legal value.
void change(json& value) {
    if (value.is_boolean())
        value = !value.get<bool>();
    else if (value.is_number_float())
        value = value.get<double>() * 0.75;
    else if (value.is_number())
        value = value.get<int>() + 1;
}

}  // namespace

TEST_CASE("every key of the schema is written and read back") {
    const json schema = json::parse(settings_schema());
    json changed = defaults();
    changed["destinations"] = {{{"name", "PACS"},
                                {"ae_title", "P"},
                                {"host", "h"},
                                {"port", 104},
                                {"allow_demonstration", true},
                                {"storage_commitment", "never"},
                                {"warnings_are_success", false},
                                {"bundle",
                                 {{"sr", "basic_text"},
                                  {"overlays", false},
                                  {"key_objects", false},
                                  {"presentation_states", true}}}}};
    changed["peers"] = {{{"ae_title", "CT1"}, {"host", "h"}, {"port", 105}}};
    for (const auto& [part, description] : schema["properties"].items()) {
        REQUIRE(changed.contains(part));
        if (part == "destinations" || part == "peers") {
            CHECK(changed[part][0].size() == description["items"]["properties"].size());
            continue;
        }
        for (const auto& [key, form] : description["properties"].items()) {
            REQUIRE_MESSAGE(changed[part].contains(key), part, "/", key);
            json& value = changed[part][key];
            change(value);
            if (key == "gate")
                for (auto& [name, limit] : value.items()) change(limit);
        }
        CHECK(changed[part].size() == description["properties"].size());
    }
    changed["site"]["name"] = "Elsewhere";
    changed["site"]["default_issuer"] = "HOSPITAL";
    changed["dimse"]["ae_title"] = "OTHER";
    changed["dimse"]["allowed_callers"] = {"CT1", "CT2"};
    changed["dimse"]["bind"] = "0.0.0.0";
    changed["http"]["bind"] = "::1";
    changed["inference"]["device"] = "cuda:1";
    changed["training"]["label_callers"] = {"WORKSTATION"};
    changed["training"]["depth"] = "head";
    const Checked checked = check_settings(changed.dump());
    CHECK(checked.faults.empty());
    CHECK(json::parse(settings_json(checked.settings)) == changed);
}

TEST_CASE("the report class of a destination may be left to negotiation") {
    json one = defaults();
    one["destinations"] = {{{"name", "A"}, {"ae_title", "X"}, {"host", "h"}, {"port", 104}}};
    one["destinations"][0]["bundle"] = {{"sr", "auto"}};
    const Checked checked = check_settings(one.dump());
    CHECK(checked.faults.empty());
    CHECK(checked.settings.destinations[0].bundle.sr == "auto");
    one["destinations"][0]["bundle"] = {{"sr", "newest"}};
    one["reports"]["not_eligible"] = "yes";
    const std::string all = faults_of(one);
    CHECK(has(all, "/destinations/0/bundle/sr"));
    CHECK(has(all, "/reports/not_eligible"));
}

TEST_CASE("all faults come at once with their pointers") {
    json wrong = defaults();
    wrong["dimse"]["port"] = 70000;
    wrong["dimse"]["prot"] = 1;
    wrong["dimse"]["ae_title"] = "MUCH_TOO_LONG_TITLE";
    wrong["dimse"]["allowed_callers"] = {7, "A\\B"};
    wrong["extra/key"] = true;
    wrong["extra~key"] = true;
    wrong["http"]["port"] = "8080";
    wrong["inference"]["device"] = "tpu";
    wrong["intake"] = 5;
    wrong["destinations"] = {{{"name", "A"}, {"ae_title", "X"}, {"host", "h"}, {"port", 0}},
                             {{"name", "A"}, {"ae_title", "   "}, {"host", " "}, {"port", 4242}},
                             {{"name", "B"},
                              {"ae_title", "X"},
                              {"port", 4242},
                              {"storage_commitment", "sometimes"},
                              {"warnings_are_success", 1}}};
    wrong["peers"] = {{{"ae_title", "CT"}, {"host", "h"}, {"port", 104}},
                      {{"ae_title", "CT"}, {"host", " "}, {"port", 104}},
                      {{"ae_title", "A\\B"}, {"host", "h"}}};
    const std::string all = faults_of(wrong);
    INFO(all);
    for (const char* pointer : {"/dimse/port must be an integer of 0 to 65535",
                                "/dimse/prot is not a known key",
                                "/dimse/ae_title must be an AE title",
                                "/dimse/allowed_callers/0 must be a string",
                                "/dimse/allowed_callers/1 must be an AE title",
                                "/extra~1key is not a known key",
                                "/extra~0key is not a known key",
                                "/http/port must be an integer",
                                "/inference/device must be a string (auto, cpu or cuda:N)",
                                "/intake must be an object",
                                "/destinations/0/port must be an integer of 1 to 65535",
                                "/destinations/1/name 'A' is the name of another",
                                "/destinations/1/ae_title must be an AE title",
                                "/destinations/1/host must name a host",
                                "/destinations/2/host is missing",
                                "/destinations/2/storage_commitment",
                                "/destinations/2/warnings_are_success",
                                "/peers/1/ae_title 'CT' stands in the list twice",
                                "/peers/1/host must name a host",
                                "/peers/2/ae_title must be an AE title",
                                "/peers/2/port is missing"})
        CHECK_MESSAGE(has(all, pointer), pointer);
    CHECK(std::count(all.begin(), all.end(), '\n') == 21);
}

TEST_CASE("text that is not JSON is one fault") {
    for (const char* text : {"", "{", "\"a", "{\"dimse\":}", "\xff\xfe", "[1,2", "nul"}) {
        const Checked checked = check_settings(text);
        REQUIRE(checked.faults.size() == 1);
        CHECK(has(checked.faults[0].text, "not JSON"));
    }
    for (const char* text : {"[]", "1", "null", "\"x\""}) {
        const Checked checked = check_settings(text);
        REQUIRE(checked.faults.size() == 1);
        CHECK(checked.faults[0].pointer.empty());
    }
}

TEST_CASE("ports differ unless any free one is wanted") {
    json ports = defaults();
    ports["http"]["port"] = 11112;
    CHECK(has(faults_of(ports), "/http/port 11112 is the port of /dimse/port too"));
    ports["http"]["port"] = 0;
    ports["dimse"]["port"] = 0;
    CHECK(faults_of(ports).empty());
}

TEST_CASE("beyond the loopback only with a list of callers") {
    json open = defaults();
    open["dimse"]["bind"] = "0.0.0.0";
    CHECK(has(faults_of(open), "/dimse/bind"));
    open["dimse"]["bind"] = "127.example.org";
    CHECK(has(faults_of(open), "/dimse/bind"));
    open["dimse"]["bind"] = "0.0.0.0";
    open["dimse"]["allowed_callers"] = {"CT1"};
    CHECK(faults_of(open).empty());
    open["http"]["bind"] = "0.0.0.0";
    CHECK(has(faults_of(open), "/http/bind must be a loopback address"));
}

TEST_CASE("time zones come from the machine's data") {
    const TemporaryFolder folder;
    std::filesystem::create_directories(folder.path() / "Europe");
    std::ofstream(folder.path() / "Europe" / "Berlin") << "TZif";
    const char* before = std::getenv("TZDIR");
    const std::string saved = before ? before : "";
    setenv("TZDIR", folder.path().c_str(), 1);
    json zoned = defaults();
    const auto faults_in = [&](const char* zone) {
        zoned["site"]["time_zone"] = zone;
        return faults_of(zoned);
    };
    CHECK(faults_in("Europe/Berlin").empty());
    CHECK(faults_in("").empty());
    for (const char* zone :
         {"Europe/Atlantis", "Europe", "../Europe/Berlin", "/etc/passwd", "Europe/Berlin\n"})
        CHECK_MESSAGE(has(faults_in(zone), "/site/time_zone"), zone);
    setenv("TZDIR", (folder.path() / "none").c_str(), 1);
    CHECK(has(faults_in("Europe/Berlin"), "tzdata"));
    CHECK(faults_in("UTC").empty());
    if (before)
        setenv("TZDIR", saved.c_str(), 1);
    else
        unsetenv("TZDIR");
}

TEST_CASE("peers and destinations as text") {
    const auto one = parse_destination("PACS=ORTHANC@127.0.0.1:4242");
    REQUIRE(one);
    CHECK(one->name == "PACS");
    CHECK(one->ae_title == "ORTHANC");
    CHECK(one->host == "127.0.0.1");
    CHECK(one->port == 4242);
    CHECK_FALSE(one->allow_demonstration);
    CHECK(one->is_loopback());
    const auto six = parse_peer("ANY@[::1]:104");
    REQUIRE(six);
    CHECK(six->host == "::1");
    CHECK(six->is_loopback());
    CHECK_FALSE(parse_peer("A@pacs.example:104")->is_loopback());
    for (const char* text : {"", "A", "A@h", "A@h:", "A@h:0", "A@h:65536", "A@h:1x", "@h:1", "A@:1", "A:1@h",
                             "A\\B@h:1", "ABCDEFGHIJKLMNOPQ@h:1", "A@h h:1", "A@h:-1"})
        CHECK_MESSAGE(!parse_peer(text), text);
    for (const char* text : {"A@h:1", "=A@h:1", "a b=A@h:1", "N=A@h"})
        CHECK_MESSAGE(!parse_destination(text), text);
    CHECK(parse_peer("A@h:0").error().code == Code::kInvalidArgument);
}

TEST_CASE("AE titles") {
    for (const char* title : {"A", "SCOPENODE", "WITH SPACE", "abcdefghijklmnop", "a.b-c_d!"})
        CHECK(is_legal_ae_title(title));
    for (const char* title : {"", " ", "    ", "abcdefghijklmnopq", "A\\B", "A\nB", "\xc3\x9c", "A\x7f"})
        CHECK_FALSE(is_legal_ae_title(title));
}

TEST_CASE("a node folder's settings carry their revision and name every fault in one line") {
    const TemporaryFolder folder;
    const auto none = load_settings(folder.path());
    REQUIRE_FALSE(none);
    CHECK(has(none.error().message, "scopenode init"));
    const std::string text = settings_json(Settings{});
    REQUIRE(write_file(real_files(), folder.path() / "node.json", text));
    const auto loaded = load_settings(folder.path());
    REQUIRE(loaded);
    CHECK(loaded->revision == sha256_hex(text).substr(0, 12));
    REQUIRE(
        write_file(real_files(), folder.path() / "node.json", R"({"http":{"port":-1},"dimse":{"ports":1}})"));
    const auto wrong = load_settings(folder.path());
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == Code::kInvalidSettings);
    CHECK(has(wrong.error().message, "2 faults"));
    CHECK(has(wrong.error().message, "/http/port"));
    CHECK(has(wrong.error().message, "/dimse/ports"));
    CHECK_FALSE(has(wrong.error().message, "\n"));
}
