#include <doctest/doctest.h>
#include <signal.h>

#include <thread>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "tests/support/mpps.h"
#include "tests/support/node.h"
#include "tests/support/orthanc.h"
#include "workflows/results/report.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::vector<fs::path> part(const PhantomFiles& study, std::size_t begin, std::size_t end) {
    return {study.slices.begin() + static_cast<std::ptrdiff_t>(begin),
            study.slices.begin() + static_cast<std::ptrdiff_t>(end)};
}

bool done(const Node& node, const std::string& uid, int revision, std::size_t slices) {
    const json shown = node.ask({"studies", "show", uid});
    return shown["state"] == "done" && shown["revision"] == revision && shown["slices"].size() == slices;
}

}  // namespace

TEST_CASE("a restart during the quiet time neither loses a study nor starts its wait again") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 8);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 51).at(0);
    node.receive(phantom.slices);
    REQUIRE(eventually([&] { return !node.ask({"studies", "why", phantom.study_uid})["due"].is_null(); }));
    const json before = node.ask({"studies", "why", phantom.study_uid});
    CHECK(before["state"] == "receiving");
    node.kill9();
    node.start();
    REQUIRE_MESSAGE(eventually([&] { return done(node, phantom.study_uid, 1, 10); }), node.log());
    const json why = node.ask({"studies", "why", phantom.study_uid});
    CHECK(why["completed_by"] == "quiet time");
    CHECK(why["last_received"] == before["last_received"]);
    REQUIRE(why["evidence"].size() >= 1);
    CHECK(why["revision"] == 1);
    CHECK(node.stop() == 0);
}

TEST_CASE(
    "two associations with a pause longer than the quiet time end in one current report of all slices") {
    REQUIRE(Orthanc::installed());
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 1, pacs.as_destination());
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 16, 52).at(0);
    node.receive(part(phantom, 0, 10));
    REQUIRE_MESSAGE(eventually([&] { return done(node, phantom.study_uid, 1, 10); }), node.log());
    node.receive(part(phantom, 10, 16));
    REQUIRE_MESSAGE(eventually([&] { return done(node, phantom.study_uid, 2, 16); }), node.log());
    REQUIRE(eventually([&] { return pacs.reports(phantom.study_uid).size() == 2; }));
    std::map<std::string, std::string> predecessor;  // by report
    for (const auto& file : pacs.fetch_reports(folder.path() / "back", phantom.study_uid)) {
        const auto report = workflows::read_report(file).value();
        predecessor[report.sop_instance_uid] = report.predecessor_sop_instance_uid;
    }
    const json results = node.ask({"studies", "why", phantom.study_uid})["results"];
    int reports = 0;
    for (const auto& result : results)
        if (result["kind"] == "sr") ++reports;
    CHECK(reports == 2);
    for (const auto& [uid, before] : predecessor)
        if (!before.empty()) CHECK(predecessor.at(before).empty());
    CHECK(node.stop() == 0);
}

TEST_CASE("two studies that arrive slice by slice in turn get one report each") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.start();
    const auto studies = make_phantoms(folder.path() / "phantom", 2, 10, 53);
    std::vector<fs::path> mixed;
    for (std::size_t i = 0; i < 10; ++i)
        for (const auto& study : studies) mixed.push_back(study.slices[i]);
    node.receive(mixed);
    for (const auto& study : studies) CHECK(node.command({"studies", "complete", study.study_uid}).rc == 0);
    for (const auto& study : studies)
        REQUIRE_MESSAGE(eventually([&] { return done(node, study.study_uid, 1, 10); }), node.log());
    CHECK(node.stop() == 0);
}

TEST_CASE("a STAT study overtakes forty routine ones") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.set("/intake/stat_callers", json::array({"STROKE_CT"}));
    node.start();
    const auto routine = make_phantoms(folder.path() / "routine", 40, 8, 54, 96);
    const auto stat = make_phantoms(folder.path() / "stat", 1, 8, 55, 96).at(0);
    for (const auto& study : routine) node.receive(study.slices);
    REQUIRE(node.storescu(stat.slices, {"-aet", "STROKE_CT"}).rc == 0);
    // All become complete while the node is down, the urgent one last: it finds forty-one at once.
    CHECK(node.stop() == 0);
    for (const auto& study : routine) REQUIRE(node.command({"studies", "complete", study.study_uid}).rc == 0);
    REQUIRE(node.command({"studies", "complete", stat.study_uid}).rc == 0);
    node.start();
    REQUIRE_MESSAGE(eventually([&] {
                        for (const auto& study : routine)
                            if (node.state_of(study.study_uid) != "done") return false;
                        return node.state_of(stat.study_uid) == "done";
                    }),
                    node.log());
    const json why = node.ask({"studies", "why", stat.study_uid});
    CHECK(why["priority"] == "STAT");
    const json ended = why["jobs"][0]["ended"];
    for (const auto& study : routine)
        CHECK(node.ask({"studies", "why", study.study_uid})["jobs"][0]["started"] >= ended);
    CHECK(node.stop() == 0);
}

TEST_CASE("a PACS that refuses for good ends the delivery at once and a person can send again") {
    const TemporaryFolder folder;
    const int port = free_port();
    Node node(folder.path() / "node", 300, {"--destination", "pacs=PACS@127.0.0.1:" + std::to_string(port)});
    node.start();
    const fs::path inbox = folder.path() / "inbox";
    fs::create_directories(inbox);
    {
        Child refusing({"storescp", "--refuse", "-od", inbox.string(), std::to_string(port)},
                       folder.path() / "refusing.log");
        REQUIRE(eventually([&] {
            return run({"echoscu", "127.0.0.1", std::to_string(port)}).output.find("Rejected") !=
                   std::string::npos;
        }));
        const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 56).at(0);
        node.receive(phantom.slices);
        CHECK(node.command({"studies", "complete", phantom.study_uid}).rc == 0);
        REQUIRE_MESSAGE(eventually([&] {
                            // With its pictures, which come a little later than the report.
                            const json why = node.ask({"studies", "why", phantom.study_uid});
                            const json all = node.ask({"outbox", "list"})["deliveries"];
                            return why["jobs"].size() == 1 && why["jobs"][0]["state"] == "done" &&
                                   !all.empty() && std::all_of(all.begin(), all.end(), [](const json& one) {
                                       return one["state"] == "refused";
                                   });
                        }),
                        node.log());
        refusing.send(SIGTERM);
        refusing.wait();
    }
    const json refused = node.ask({"outbox", "list"})["deliveries"];
    for (const auto& one : refused) CHECK(one["attempts"] == 1);
    CHECK(refused[0]["last_error"].get<std::string>().find("reject") != std::string::npos);
    const Child willing({"storescp", "-od", inbox.string(), std::to_string(port)},
                        folder.path() / "willing.log");
    for (const auto& one : refused)
        CHECK(node.command({"outbox", "retry", std::to_string(one["id"].get<int>())}).rc == 0);
    REQUIRE_MESSAGE(eventually([&] {
                        const json all = node.ask({"outbox", "list"})["deliveries"];
                        return std::all_of(all.begin(), all.end(),
                                           [](const json& one) { return one["state"] == "sent"; });
                    }),
                    node.log());
    CHECK(node.stop() == 0);
}

TEST_CASE("a node that crashed in the work on a study says so and goes on with it") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.start();
    const auto study = make_phantoms(folder.path() / "phantom", 1, 30, 57, 512).at(0);
    node.receive(study.slices);
    ::kill(node.pid(), SIGSEGV);
    REQUIRE(eventually([&] { return !node.alive(); }));
    node.start();
    CHECK(node.log().find("crashed") != std::string::npos);
    CHECK(node.command({"studies", "complete", study.study_uid}).rc == 0);
    REQUIRE_MESSAGE(eventually([&] { return done(node, study.study_uid, 1, 30); }), node.log());
    const auto crashes_said = [&] {
        int count = 0;
        const std::string log = node.log();
        for (auto at = log.find("crashed"); at != std::string::npos; at = log.find("crashed", at + 1))
            ++count;
        return count;
    };
    CHECK(crashes_said() == 1);
    node.kill9();  // no fault of its own: nothing is said at the next start
    node.start();
    CHECK(crashes_said() == 1);
    // The kernel has killed for want of memory since the start: probably it.
    node.kill9();
    REQUIRE(write_file(real_files(), node.folder() / "run" / "crash.oom", "-1\n"));
    node.start();
    CHECK(crashes_said() == 2);
    CHECK(node.stop() == 0);
    CHECK_FALSE(fs::exists(node.folder() / "run" / "crash"));
    CHECK_FALSE(fs::exists(node.folder() / "run" / "crash.oom"));
}

TEST_CASE("the end of a procedure step completes its study at once when all its images are here") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.start();
    const auto study = make_phantoms(folder.path() / "phantom", 1, 12, 58).at(0);
    MppsSender::Images images;
    for (const auto& file : study.slices) {
        const auto header = storage::read_header(file).value();
        images[header.series_uid].push_back(header.sop_instance_uid);
    }
    MppsSender modality(node.dimse_port());
    REQUIRE(modality.create(study.study_uid, "2.25.581") == 0);
    node.receive(part(study, 0, 10));
    REQUIRE(modality.complete("2.25.581", images) == 0);
    // Two images are on their way: the step alone does not complete the study.
    REQUIRE(eventually([&] {
        const json why = node.ask({"studies", "why", study.study_uid});
        return why["mpps"][0]["state"] == "COMPLETED" && !why["due"].is_null();
    }));
    CHECK(node.state_of(study.study_uid) == "receiving");
    node.receive(part(study, 10, 12));
    REQUIRE_MESSAGE(eventually([&] { return done(node, study.study_uid, 1, 12); }), node.log());
    json why = node.ask({"studies", "why", study.study_uid});
    CHECK(why["completed_by"] == "MPPS");
    CHECK(why["no_result"].is_null());
    int ends = 0;
    for (const auto& row : why["evidence"])
        if (row["kind"] == "association end") ++ends;
    CHECK(ends == 2);
    CHECK(why["received_from"][0]["objects"] == 12);
    // The story of one of its instances.
    const std::string sop = storage::read_header(study.slices[0]).value().sop_instance_uid;
    const json instance = node.ask({"studies", "why", sop});
    CHECK(instance["study_uid"] == study.study_uid);
    CHECK(instance["eligible"] == true);
    CHECK(instance["scores"].size() == 1);
    CHECK(instance["sha256"].get<std::string>().size() == 64);
    CHECK(node.command({"studies", "why", sop}).output.find("scored by model") != std::string::npos);
    CHECK(node.command({"studies", "why", "1.2.3"}).rc == 1);
    CHECK(node.stop() == 0);
}
