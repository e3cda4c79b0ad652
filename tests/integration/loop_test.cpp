#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/core/files.h"
#include "ml/labels.h"
#include "storage/dicom/header.h"
#include "tests/support/data.h"
#include "tests/support/node.h"
#include "tests/support/orthanc.h"
#include "workflows/results/report.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The DICOM files of a folder of the shared data (its DIRFILEs are not DICOM).
std::vector<fs::path> dicom_files(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && storage::read_header(entry.path())) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

std::string study_of(const fs::path& file) {
    return storage::read_header(file).value().study_uid;
}

/// No line of dciodvfy begins with "Error".
std::string dciodvfy_errors(const fs::path& file) {
    const auto said = run({"dciodvfy", file.string()}).output;
    std::string errors;
    for (std::size_t at = 0; at < said.size();) {
        const std::size_t end = std::min(said.find('\n', at), said.size());
        const std::string line = said.substr(at, end - at);
        if (line.starts_with("Error")) errors += line + "\n";
        at = end + 1;
    }
    return errors;
}

/// What a report says is what the node says of the study.
void check_report(const fs::path& file, const json& shown, std::size_t slices) {
    INFO(file.string());
    CHECK(dciodvfy_errors(file) == "");
    CHECK(run({"dsrdump", file.string()}).rc == 0);
    const auto read = workflows::read_report(file);
    REQUIRE_MESSAGE(read, (read ? "" : read.error().message));
    REQUIRE(read->findings.size() == ml::kLabelCount);
    for (const auto label : ml::kLabels) {
        INFO(label);
        const std::string key(label);
        const auto found = std::find_if(read->findings.begin(), read->findings.end(),
                                        [&](const auto& f) { return f.label == key; });
        REQUIRE(found != read->findings.end());
        CHECK(word(found->presence) == shown["findings"][key].get<std::string>());
        REQUIRE(found->probability);
        CHECK(*found->probability ==
              doctest::Approx(shown["probabilities"][key].get<double>()).epsilon(0.001));
        CHECK(found->threshold);
    }
    CHECK(read->study_uid == shown["study_uid"].get<std::string>());
    CHECK(read->evidence.size() == slices);
    CHECK(read->verification == "UNVERIFIED");
    CHECK(read->preliminary == "PRELIMINARY");
    CHECK(read->conclusion.find("DEMONSTRATION") != std::string::npos);
    CHECK(read->manifest_sha256.starts_with(shown["model"].get<std::string>()));
    std::set<std::string> tracked;
    for (const auto& finding : read->findings) tracked.insert(finding.tracking_uid);
    CHECK(tracked.size() == ml::kLabelCount);
}

std::map<std::string, int> codes_of_series(const json& why) {
    std::map<std::string, int> codes;
    for (const auto& series : why["series"])
        if (!series["code"].is_null()) ++codes[series["code"].get<std::string>()];
    return codes;
}

}  // namespace

TEST_CASE("real head CTs sent by storescu come back to the PACS as one report each") {
    if (!fs::exists(data_folder() / "headct")) {
        MESSAGE("skipped: no test data at " << data_folder().string());
        return;
    }
    REQUIRE(Orthanc::installed());
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 2, pacs.as_destination());
    node.set("/destinations/0/bundle", {{"presentation_states", true}});
    node.start();
    CHECK(run({"echoscu", "-aec", "SCOPENODE", "127.0.0.1", std::to_string(node.dimse_port())}).rc == 0);
    CHECK(node.http("/healthz").first == 200);
    CHECK(node.http("/readyz").first == 200);
    CHECK(node.http("/nothing").first == 404);

    const auto ge = dicom_files(data_folder() / "headct" / "ge_hispeed_ncct");
    const auto philips = dicom_files(data_folder() / "headct" / "philips_ingenuity_phantom");
    REQUIRE(ge.size() == 28);
    REQUIRE(philips.size() == 35);
    node.receive(ge);
    node.receive(philips);
    const std::string ge_uid = study_of(ge[0]), philips_uid = study_of(philips[0]);
    REQUIRE(ge_uid != philips_uid);
    const bool both = eventually([&] {
        return pacs.reports(ge_uid).size() == 1 && pacs.reports(philips_uid).size() == 1 &&
               node.state_of(ge_uid) == "done" && node.state_of(philips_uid) == "done";
    });
    INFO(node.log());
    REQUIRE(both);

    for (const std::string& uid : {ge_uid, philips_uid}) {
        const json shown = node.ask({"studies", "show", uid});
        CHECK(shown["state"] == "done");
        CHECK(shown["revision"] == 1);
        CHECK(shown["slices"].size() == 28);
        CHECK(shown["files"]["overlays"].size() >= 1);
        CHECK(shown["deliveries"].size() == 1 + shown["files"]["overlays"].size() +
                                                (shown["files"]["key_objects"].is_null() ? 0 : 1) +
                                                shown["files"]["presentation_states"].size());
        const bool all_there = eventually([&] {
            const auto there = pacs.sop_instance_uids(uid);
            return std::all_of(shown["deliveries"].begin(), shown["deliveries"].end(),
                               [&](const json& delivery) {
                                   return std::count(there.begin(), there.end(),
                                                     delivery["sop_instance_uid"].get<std::string>()) == 1;
                               });
        });
        CHECK(all_there);
        const auto files = pacs.fetch_reports(folder.path() / uid, uid);
        REQUIRE(files.size() == 1);
        check_report(files[0], shown, 28);
        // The node keeps its own result: the same bytes as far as the PACS left them.
        const fs::path own = node.folder() / shown["files"]["sr"].get<std::string>();
        CHECK(storage::read_header(own).value().sop_instance_uid ==
              storage::read_header(files[0]).value().sop_instance_uid);
        check_report(own, shown, 28);
    }

    const auto codes = codes_of_series(node.ask({"studies", "why", philips_uid}));
    CHECK(codes.count("LOCALIZER") == 1);
    CHECK(codes.count("NOT_CT") + codes.count("SECONDARY_CAPTURE") >= 1);
    const auto text = node.command({"studies", "why", philips_uid});
    CHECK(text.rc == 0);
    CHECK(text.output.find("LOCALIZER") != std::string::npos);

    const std::string metrics = node.http("/metrics").second;
    CHECK(metrics.find("scopenode_objects_total{outcome=\"stored\"} 63") != std::string::npos);
    CHECK(metrics.find("scopenode_jobs{state=\"queued\"} 0") != std::string::npos);
    CHECK(node.command({"archive", "verify"}).rc == 0);
    CHECK(node.stop() == 0);
    CHECK_FALSE(fs::exists(node.folder() / "run" / "ready.json"));
    CHECK(node.command({"archive", "verify"}).rc == 0);
}

TEST_CASE("five senders of a new patient's first objects make one patient and one study") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 60);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 11).at(0);
    std::vector<int> codes(5, -1);
    {
        std::vector<std::jthread> senders;
        for (std::size_t i = 0; i < codes.size(); ++i)
            senders.emplace_back([&, i] {
                codes[i] = node.storescu({phantom.slices[2 * i], phantom.slices[2 * i + 1]}).rc;
            });
    }
    CHECK(codes == std::vector<int>(5, 0));
    const json list = node.ask({"studies", "list"}).at("studies");
    REQUIRE(list.size() == 1);
    CHECK(list[0]["study_uid"] == phantom.study_uid);
    CHECK(list[0]["instances"] == 10);
    CHECK(list[0]["series"] == 1);
    CHECK(node.ask({"archive", "stats"})["studies"] == 1);
    CHECK(node.ask({"archive", "stats"})["instances"] == 10);
    CHECK(node.stop() == 0);
}

TEST_CASE("late slices make a revision that names its predecessor and slices sent again make nothing") {
    REQUIRE(Orthanc::installed());
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 300, pacs.as_destination());
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 12, 12).at(0);
    const std::string& uid = phantom.study_uid;
    const auto first = std::vector<fs::path>(phantom.slices.begin(), phantom.slices.end() - 2);
    const auto late = std::vector<fs::path>(phantom.slices.end() - 2, phantom.slices.end());
    const auto complete = [&] { CHECK(node.command({"studies", "complete", uid}).rc == 0); };
    const auto settled = [&](std::size_t reports, int revision) {
        const bool came = eventually([&] {
            const json shown = node.ask({"studies", "show", uid});
            const bool all_sent = std::all_of(shown["deliveries"].begin(), shown["deliveries"].end(),
                                              [](const json& one) { return one["state"] != "waiting"; });
            return pacs.reports(uid).size() == reports && shown["state"] == "done" &&
                   shown["revision"] == revision && all_sent;
        });
        REQUIRE_MESSAGE(came, node.log());
    };
    node.receive(first);
    complete();
    settled(1, 1);
    const json one = node.ask({"studies", "show", uid});
    CHECK(one["slices"].size() == 10);
    const std::string predecessor =
        workflows::read_report(pacs.fetch_reports(folder.path() / "1", uid).at(0)).value().sop_instance_uid;

    node.receive(first);
    complete();
    settled(1, 1);
    CHECK(node.ask({"studies", "show", uid}) == one);

    node.receive(late);
    complete();
    settled(2, 2);
    const json two = node.ask({"studies", "show", uid});
    CHECK(two["slices"].size() == 12);
    CHECK(two["revision"] == 2);
    int with_predecessor = 0;
    for (const auto& file : pacs.fetch_reports(folder.path() / "2", uid)) {
        const auto report = workflows::read_report(file).value();
        if (report.sop_instance_uid == predecessor) {
            CHECK(report.predecessor_sop_instance_uid.empty());
            continue;
        }
        ++with_predecessor;
        CHECK(report.predecessor_sop_instance_uid == predecessor);
        check_report(file, two, 12);
    }
    CHECK(with_predecessor == 1);

    // Nothing changes by asking again, or by a restart.
    CHECK(node.command({"studies", "reprocess", uid}).rc == 0);
    CHECK(node.stop() == 0);
    node.start();
    settled(2, 2);
    CHECK(node.ask({"jobs", "list"})["jobs"].size() == 2);
    CHECK(node.stop() == 0);
}

TEST_CASE("a report waits for a PACS that is down and arrives when it is back") {
    REQUIRE(Orthanc::installed());
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 300, pacs.as_destination());
    node.set("/destinations/0/bundle", {{"overlays", false}, {"key_objects", false}});
    node.start();
    pacs.stop();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 13).at(0);
    node.receive(phantom.slices);
    CHECK(node.command({"studies", "complete", phantom.study_uid}).rc == 0);
    const auto delivery = [&] {
        const json all = node.ask({"outbox", "list"})["deliveries"];
        return all.empty() ? json() : all[0];
    };
    const bool tried = eventually([&] {
        const json one = delivery();
        return !one.is_null() && one["attempts"].get<int>() >= 1 && one["state"] == "waiting";
    });
    REQUIRE_MESSAGE(tried, node.log());
    CHECK(node.http("/metrics").second.find("scopenode_deliveries{state=\"waiting\"} 1") !=
          std::string::npos);
    // Receiving goes on, and the delivery survives a restart.
    CHECK(run({"echoscu", "-aec", "SCOPENODE", "127.0.0.1", std::to_string(node.dimse_port())}).rc == 0);
    CHECK(node.stop() == 0);
    node.start();
    pacs.start();
    REQUIRE(eventually([&] { return pacs.reports(phantom.study_uid).size() == 1; }));
    REQUIRE(eventually([&] { return delivery()["state"] == "sent"; }));
    CHECK(node.ask({"studies", "show", phantom.study_uid})["revision"] == 1);
    CHECK(node.stop() == 0);
}
