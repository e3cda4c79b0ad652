#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "storage/index/catalog.h"
#include "storage/index/database.h"
#include "tests/support/node.h"
#include "tests/support/orthanc.h"
#include "workflows/results/report.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

int rounds() {
    return std::getenv("SCOPENODE_LONG") ? 50 : 10;
}

unsigned seed() {
    const char* set = std::getenv("SCOPENODE_SEED");
    return set ? static_cast<unsigned>(std::strtoul(set, nullptr, 10)) : std::random_device{}();
}

std::string sop_of(const fs::path& file) {
    return storage::read_header(file).value().sop_instance_uid;
}

/// What storescu says was answered with success, of files in the order in which they were sent.
std::set<std::string> acknowledged(const std::string& output, const std::vector<fs::path>& files) {
    std::set<std::string> uids;
    std::size_t at = 0, file = 0;
    while ((at = output.find("Received Store Response (Success)", at)) != std::string::npos) {
        uids.insert(sop_of(files.at(file++)));
        ++at;
    }
    return uids;
}

/// One study goes in while the node may be killed at any moment.
struct Sent {
    std::set<std::string> acknowledged;
    bool all = false;
};
Sent send_study(const Node& node, const PhantomFiles& study) {
    const auto result = node.storescu(study.slices);
    Sent sent{acknowledged(result.output, study.slices), result.rc == 0};
    // A modality that announces the end; without an answer the quiet time has to do.
    if (sent.all) (void)node.command({"studies", "complete", study.study_uid});
    return sent;
}

void check_archive(const Node& node, const std::set<std::string>& uids) {
    const SystemClock clock;
    const auto index = storage::Index::open(node.folder() / "index.sqlite", clock, true);
    REQUIRE_MESSAGE(index, (index ? "" : index.error().message));
    for (const std::string& uid : uids) {
        const auto row =
            (*index)->read([&](storage::Connection& db) { return storage::find_instance(db, uid); });
        REQUIRE(row);
        REQUIRE_MESSAGE(row->has_value(), uid);
        CHECK(fs::file_size(node.folder() / (*row)->path) == (*row)->bytes);
    }
}

/// The node has said its last word on a study: a current result of all its slices, nothing left to deliver.
bool settled(const Node& node, const PhantomFiles& study) {
    const json shown = node.ask({"studies", "show", study.study_uid});
    if (shown["state"] != "done" || shown["slices"].size() != study.slices.size()) return false;
    for (const auto& delivery : shown["deliveries"])
        if (delivery["state"] == "waiting") return false;
    return true;
}

/// Reports in the PACS: one per revision, the last one covers everything that was acknowledged.
void check_pacs(const Node& node, const Orthanc& pacs, const PhantomFiles& study, const fs::path& folder) {
    const json why = node.ask({"studies", "why", study.study_uid});
    std::map<std::string, int> revisions;
    int last = 0;
    const auto there = pacs.sop_instance_uids(study.study_uid);
    for (const auto& result : why["results"]) {
        const auto copies =
            std::count(there.begin(), there.end(), result["sop_instance_uid"].get<std::string>());
        CHECK(copies <= 1);
        // Every picture too, unless a later revision came first.
        if (result["state"] == "done") CHECK(copies == 1);
        if (result["kind"] != "sr") continue;
        const int revision = result["revision"];
        CHECK(revisions.emplace(result["sop_instance_uid"], revision).second);
        last = std::max(last, revision);
    }
    CHECK(last == static_cast<int>(revisions.size()));
    std::set<int> seen;
    bool last_seen = false;
    for (const fs::path& file : pacs.fetch_reports(folder, study.study_uid)) {
        const auto report = workflows::read_report(file);
        REQUIRE(report);
        REQUIRE(revisions.count(report->sop_instance_uid) == 1);
        const int revision = revisions[report->sop_instance_uid];
        CHECK(seen.insert(revision).second);
        if (revision != last) continue;
        last_seen = true;
        const std::set<std::string> covered(report->evidence.begin(), report->evidence.end());
        for (const fs::path& slice : study.slices) CHECK(covered.count(sop_of(slice)) == 1);
    }
    CHECK(last_seen);
    for (const auto& delivery : why["deliveries"])
        if (delivery["state"] == "sent" && revisions.contains(delivery["sop_instance_uid"]))
            CHECK(seen.count(revisions[delivery["sop_instance_uid"].get<std::string>()]) == 1);
}

}  // namespace

TEST_CASE("kill -9 at random moments loses nothing acknowledged and sends nothing twice") {
    REQUIRE(Orthanc::installed());
    const unsigned used = seed();
    fmt::print("kill loop: {} rounds, SCOPENODE_SEED={}\n", rounds(), used);
    INFO("SCOPENODE_SEED=", used);
    std::mt19937 random(used);
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 1, pacs.as_destination());
    const auto studies = make_phantoms(folder.path() / "phantom", rounds() + 1, 9, 41, 96);
    REQUIRE(studies.size() == static_cast<std::size_t>(rounds() + 1));
    node.start();

    // How long receiving, inference and delivery take here and now, without a kill.
    const auto begin = steady_clock::now();
    REQUIRE(send_study(node, studies[0]).all);
    REQUIRE_MESSAGE(eventually([&] { return settled(node, studies[0]); }), node.log());
    const double whole = std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
    check_pacs(node, pacs, studies[0], folder.path() / "back0");

    for (int round = 1; round <= rounds(); ++round) {
        const PhantomFiles& study = studies[static_cast<std::size_t>(round)];
        const auto wait =
            milliseconds(static_cast<int>(whole * std::uniform_real_distribution<>(0, 1)(random)));
        INFO("round ", round, ", killed after ", wait.count(), " ms of ", whole);
        Sent sent;
        {
            std::jthread sender([&] { sent = send_study(node, study); });
            std::this_thread::sleep_for(wait);
            node.kill9();
        }
        node.start();
        check_archive(node, sent.acknowledged);
        // The modality sends again what was not acknowledged, and says that this was all.
        std::vector<fs::path> rest;
        for (const fs::path& slice : study.slices)
            if (!sent.acknowledged.contains(sop_of(slice))) rest.push_back(slice);
        if (!rest.empty()) node.receive(rest);
        CHECK(node.command({"studies", "complete", study.study_uid}).rc == 0);
        REQUIRE_MESSAGE(eventually([&] { return settled(node, study); }), node.log());
        check_pacs(node, pacs, study, folder.path() / ("back" + std::to_string(round)));
    }
    const auto verified = node.command({"archive", "verify"});
    CHECK_MESSAGE(verified.rc == 0, verified.output);
    CHECK(node.stop() == 0);
}
