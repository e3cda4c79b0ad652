#include <doctest/doctest.h>

#include <fstream>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "tests/support/data.h"
#include "tests/support/node.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

bool one_line(const std::string& text) {
    return !text.empty() && text.find('\n') == text.size() - 1;
}

/// The line by which a program ended.
std::string last_line(const std::string& text) {
    const auto end = text.find_last_not_of('\n');
    if (end == std::string::npos) return "";
    const auto before = text.rfind('\n', end);
    return text.substr(before == std::string::npos ? 0 : before + 1,
                       end - (before == std::string::npos ? 0 : before + 1) + 1);
}

/// Copies a slice and changes elements of it by dcmodify.
fs::path changed(const fs::path& slice, const fs::path& to, const std::vector<std::string>& changes) {
    fs::copy_file(slice, to);
    std::vector<std::string> argv{"dcmodify", "-nb", "-ie"};
    for (const auto& change : changes) argv.insert(argv.end(), {"-m", change});
    argv.push_back(to.string());
    const auto done = run(argv);
    REQUIRE_MESSAGE(done.rc == 0, done.output);
    return to;
}

fs::path weights_of(const Node& node) {
    for (const auto& entry : fs::recursive_directory_iterator(node.folder() / "models"))
        if (entry.path().filename() == "weights.safetensors") return entry.path();
    FAIL("no weights");
    return {};
}

}  // namespace

TEST_CASE("init refuses a folder in use and says so in one line") {
    const TemporaryFolder folder;
    const Node node(folder.path() / "node", 1);
    const auto again = program({"init", node.folder().string()});
    CHECK(again.rc == 1);
    CHECK_MESSAGE(one_line(again.output), again.output);
    std::ofstream(folder.path() / "file") << "x";
    CHECK(program({"init", folder.path().string()}).rc == 1);
    CHECK(program({"init", (folder.path() / "file").string()}).rc == 1);
    const auto nowhere = program({"init", "/proc/self/none/node"});
    CHECK(nowhere.rc == 1);
    CHECK_MESSAGE(one_line(nowhere.output), nowhere.output);
    CHECK(program({"config", "check", node.folder().string()}).rc == 0);
}

TEST_CASE("settings with faults keep a node from starting and are listed at once") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 1);
    node.set("/dimse/port", 70000);
    node.set("/dimse/nonsense", true);
    const auto check = program({"config", "check", node.folder().string()});
    CHECK(check.rc == 1);
    CHECK(has(check.output, "/dimse/port"));
    CHECK(has(check.output, "/dimse/nonsense"));
    CHECK(node.start_and_fail() == 1);
    CHECK_MESSAGE(one_line(node.log()), node.log());
    CHECK(has(node.log(), "/dimse/port"));
    CHECK(has(node.log(), "/dimse/nonsense"));
}

TEST_CASE("a node that is no node and studies that are none get one line") {
    const TemporaryFolder folder;
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"studies", "list"}, {"jobs", "list"}, {"archive", "stats"}, {"studies", "complete", "1.2.3"}}) {
        auto all = words;
        all.insert(all.end(), {"--node", folder.path().string()});
        const auto none = program(all);
        CHECK(none.rc == 1);
        CHECK_MESSAGE(one_line(none.output), none.output);
    }
    CHECK(program({"serve", folder.path().string()}).rc == 1);
    const Node node(folder.path() / "node", 1);
    for (const auto& words : std::vector<std::vector<std::string>>{{"studies", "show", "1.2.3"},
                                                                   {"studies", "why", "1.2.3"},
                                                                   {"studies", "complete", "1.2.3"},
                                                                   {"jobs", "show", "7"},
                                                                   {"jobs", "retry", "7"},
                                                                   {"outbox", "retry", "7"}}) {
        const auto none = node.command(words);
        CHECK(none.rc == 1);
        CHECK_MESSAGE(one_line(none.output), none.output);
    }
    RunOptions by_variable;
    by_variable.environment = {{"SCOPENODE_NODE", node.folder().string()}};
    CHECK(program({"studies", "list"}, by_variable).rc == 0);
}

TEST_CASE("a folder that is served and a port in use are named in one line") {
    const TemporaryFolder folder;
    Node first(folder.path() / "first", 1);
    first.start();
    const auto second_of_folder = program({"serve", first.folder().string()});
    CHECK(second_of_folder.rc == 1);
    CHECK_MESSAGE(has(last_line(second_of_folder.output), std::to_string(first.pid())),
                  second_of_folder.output);
    for (const auto& [pointer, port] :
         {std::pair{"/dimse/port", first.dimse_port()}, {"/http/port", first.http_port()}}) {
        Node second(folder.path() / ("second" + std::to_string(port)), 1);
        second.set(pointer, port);
        CHECK(second.start_and_fail() == 1);
        const std::string line = last_line(second.log());
        CHECK_MESSAGE(line.starts_with("scopenode: "), line);
        CHECK_MESSAGE(has(line, std::to_string(port)), line);
        CHECK_FALSE(fs::exists(second.folder() / "run" / "ready.json"));
    }
    CHECK(first.http("/healthz").first == 200);
    CHECK(first.stop() == 0);
}

TEST_CASE("damaged weights are refused at start and named") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 1);
    const fs::path weights = weights_of(node);
    const std::string whole = read_file(weights).value();
    std::string flipped = whole;
    flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
    for (const std::string& bytes : {flipped, whole.substr(0, whole.size() / 2), std::string()}) {
        REQUIRE(write_file(real_files(), weights, bytes));
        CHECK(node.start_and_fail() == 1);
        const std::string line = last_line(node.log());
        CHECK_MESSAGE(line.starts_with("scopenode: "), line);
        CHECK_MESSAGE(has(line, "weights.safetensors"), line);
    }
    REQUIRE(write_file(real_files(), weights, whole));
    node.start();
    CHECK(node.stop() == 0);
}

TEST_CASE("an index of a newer program or none at all is refused in one line") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 1);
    const fs::path index = node.folder() / "index.sqlite";
    const auto version = [&](const std::string& sql) { return run({"sqlite3", index.string(), sql}).output; };
    const std::string before = version("PRAGMA user_version;");
    version("PRAGMA user_version = 99999;");
    CHECK(node.start_and_fail() == 1);
    CHECK_MESSAGE(has(last_line(node.log()), "99999"), node.log());
    CHECK(node.command({"studies", "list"}).rc == 1);
    version("PRAGMA user_version = " + before);
    node.start();
    CHECK(node.stop() == 0);
    fs::remove(index);
    CHECK(node.start_and_fail() == 1);
    CHECK(has(last_line(node.log()), "index.sqlite is missing"));
    CHECK_FALSE(fs::exists(index));
}

TEST_CASE("a wrong called title is rejected and a full disk refuses until there is room") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 60);
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 31).at(0);
    node.set("/archive/keep_free_mb", 1000000000);
    node.start();
    const auto echo = [&](const char* title) {
        return run({"echoscu", "-aec", title, "127.0.0.1", std::to_string(node.dimse_port())}).rc;
    };
    CHECK(echo("OTHER") != 0);
    CHECK(echo("SCOPENODE") == 0);
    const auto full = node.storescu({phantom.slices[0]});
    CHECK_MESSAGE(has(full.output, "OutOfResources"), full.output);
    CHECK(echo("SCOPENODE") == 0);
    CHECK(node.ask({"archive", "stats"})["instances"] == 0);
    CHECK(files_with_content(node.folder() / "objects").size() == 0);
    CHECK(node.stop() == 0);
    node.set("/archive/keep_free_mb", 1);
    node.start();
    node.receive(phantom.slices);
    CHECK(node.ask({"archive", "stats"})["instances"] == 8);
    CHECK(node.stop() == 0);
}

TEST_CASE("a write that fails in the middle of an object leaves nothing and the node goes on") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 60);
    // No file of the node can grow beyond this: the object does, the index and its log do not.
    RunOptions limited;
    limited.file_size_limit = 24 << 20;
    node.start(limited);
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 32).at(0);
    const fs::path big = folder.path() / "big.dcm";
    fs::copy_file(phantom.slices[0], big);
    const fs::path filler = folder.path() / "filler";
    std::ofstream(filler, std::ios::binary) << std::string(32 << 20, '\0');
    const auto grown = run({"dcmodify", "-nb", "-mf", "(7fe0,0010)=" + filler.string(), big.string()});
    REQUIRE_MESSAGE(grown.rc == 0, grown.output);
    const auto refused = node.storescu({big});
    CHECK_MESSAGE(has(refused.output, "OutOfResources"), refused.output);
    CHECK(node.alive());
    CHECK(files_with_content(node.folder() / "objects").size() == 0);
    node.receive(phantom.slices);
    CHECK(node.ask({"archive", "stats"})["instances"] == 8);
    CHECK(node.command({"archive", "verify"}).rc == 0);
    CHECK(node.stop() == 0);
}

TEST_CASE("objects with illegal UIDs go to quarantine with the reason while the association goes on") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 60);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 33).at(0);
    const fs::path mixed = folder.path() / "mixed";
    fs::create_directories(mixed);
    fs::copy_file(phantom.slices[0], mixed / "1.dcm");
    changed(phantom.slices[1], mixed / "2.dcm", {"(0020,000d)=1.02.3"});
    fs::copy_file(phantom.slices[2], mixed / "3.dcm");
    const auto sent = node.storescu({mixed}, {"--no-halt"});
    INFO(sent.output);
    CHECK(has(sent.output, "DataSetDoesNotMatchSOPClass"));
    CHECK(node.ask({"archive", "stats"})["instances"] == 2);
    CHECK(node.ask({"archive", "stats"})["quarantined"] == 1);
    CHECK(files_with_content(node.folder() / "quarantine").size() == 1);
    CHECK(node.http("/metrics").second.find("outcome=\"refused\"} 1") != std::string::npos);
    CHECK(node.stop() == 0);
}

TEST_CASE("a slice without its pixels is refused into quarantine and the study goes on without it") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.start();
    auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 34).at(0);
    const fs::path broken = changed(phantom.slices[4], folder.path() / "broken.dcm", {"(0028,0010)=4096"});
    phantom.slices[4] = broken;
    const auto sent = node.storescu(phantom.slices, {"--no-halt"});
    INFO(sent.output);
    CHECK(has(sent.output, "CannotUnderstand"));
    CHECK(node.ask({"archive", "stats"})["quarantined"] == 1);
    CHECK(node.command({"studies", "complete", phantom.study_uid}).rc == 0);
    REQUIRE_MESSAGE(eventually([&] { return node.state_of(phantom.study_uid) == "done"; }), node.log());
    CHECK(node.ask({"studies", "show", phantom.study_uid})["slices"].size() == 9);
    CHECK(node.stop() == 0);
}

TEST_CASE("the same UID with other content is kept beside and never overwrites") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 35).at(0);
    node.receive(phantom.slices);
    const auto header = storage::read_header(phantom.slices[0]).value();
    const fs::path other =
        changed(phantom.slices[0], folder.path() / "other.dcm", {"(0008,103e)=something else"});
    REQUIRE(storage::read_header(other).value().sop_instance_uid == header.sop_instance_uid);
    node.receive({other});
    node.receive({phantom.slices[0]});
    const json why = node.ask({"studies", "why", phantom.study_uid});
    std::map<std::string, int> kinds;
    for (const auto& remark : why["remarks"]) ++kinds[remark["kind"].get<std::string>()];
    CHECK(kinds["conflict"] == 1);
    CHECK(kinds["duplicate"] == 1);
    CHECK(node.command({"archive", "verify"}).rc == 0);
    CHECK(files_with_content(node.folder() / "objects").size() == 9);
    CHECK(node.stop() == 0);
}
