#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/dimse/notices.h"
#include "storage/dicom/header.h"
#include "storage/index/catalog.h"
#include "storage/index/commitments.h"
#include "storage/index/database.h"
#include "storage/index/mpps.h"
#include "storage/index/outbox.h"
#include "tests/support/data.h"
#include "tests/support/dimse/peer.h"
#include "tests/support/mpps.h"
#include "tests/support/node.h"
#include "tests/support/orthanc.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kCommitment = UID_StorageCommitmentPushModelSOPClass;
constexpr const char* kCommitmentInstance = UID_StorageCommitmentPushModelSOPInstance;
constexpr const char* kSr = UID_Comprehensive3DSRStorage;

json deliveries(const Node& node) {
    return node.ask({"outbox", "list"})["deliveries"];
}
/// The deliveries to one destination that are in a state, with a commitment ("" any).
int count(const Node& node, const std::string& destination, const std::string& state,
          const std::string& commitment = "") {
    int found = 0;
    for (const auto& row : deliveries(node))
        found += row["destination"] == destination && row["state"] == state &&
                 (commitment.empty() || row["commitment"] == commitment);
    return found;
}
std::vector<std::string> to(const std::string& name, int port) {
    return {"--destination", name + "=" + name + "@127.0.0.1:" + std::to_string(port)};
}
/// What the index of a node says, read beside it.
template <class F>
auto read_index(const Node& node, F&& what) {
    const SystemClock clock;
    auto index = storage::Index::open(node.folder() / "index.sqlite", clock, true);
    REQUIRE_MESSAGE(index, (index ? "" : index.error().message));
    auto rows = (*index)->read(what);
    REQUIRE(rows);
    return *rows;
}
void send_and_complete(const Node& node, const PhantomFiles& phantom) {
    node.receive(phantom.slices);
    REQUIRE(node.command({"studies", "complete", phantom.study_uid}).rc == 0);
}
/// What is sent and committed can be counted when there is one object a study.
void reports_only(Node& node, int destinations = 1) {
    for (int i = 0; i < destinations; ++i)
        node.set(fmt::format("/destinations/{}/bundle", i), {{"overlays", false}, {"key_objects", false}});
}

DcmDataset question_about(const std::vector<fs::path>& slices, const std::string& transaction) {
    storage::CommitmentNotice notice{transaction, {}};
    for (const auto& slice : slices) {
        const auto header = storage::read_header(slice).value();
        notice.instances.push_back({header.sop_class_uid, header.sop_instance_uid, {}, 0});
    }
    DcmDataset data_set;
    dicom_node::encode_commitment_request(notice, data_set);
    return data_set;
}

}  // namespace

TEST_CASE("Orthanc commits to our report on an association of its own and the outbox shows it") {
    REQUIRE(Orthanc::installed());
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 300, pacs.as_destination());
    reports_only(node);
    const int port = free_port();
    node.set("/dimse/port", port);
    pacs.know("SCOPENODE", port);
    node.start();
    const auto phantoms = make_phantoms(folder.path() / "phantom", 2, 10, 51);
    send_and_complete(node, phantoms[0]);
    const bool committed = eventually([&] { return count(node, "PACS", "sent", "committed") == 1; });
    INFO(pacs.log());
    INFO(node.log());
    REQUIRE(committed);
    CHECK(pacs.reports(phantoms[0].study_uid).size() == 1);
    const json row = deliveries(node)[0];
    CHECK(row["last_error"].is_null());
    CHECK(is_legal_uid(row["transaction_uid"].get<std::string>()));
    CHECK(node.http("/metrics").second.find("scopenode_commitments{state=\"committed\"} 1") !=
          std::string::npos);

    // The PACS is away when the next is due, and when it comes back; nobody does anything.
    pacs.stop();
    send_and_complete(node, phantoms[1]);
    REQUIRE(eventually([&] { return node.state_of(phantoms[1].study_uid) == "done"; }));
    REQUIRE(eventually(
        [&] { return count(node, "PACS", "waiting") == 1 && deliveries(node)[0]["attempts"] > 1; }));
    node.kill9();
    pacs.start();
    node.start();
    REQUIRE(eventually([&] { return count(node, "PACS", "sent", "committed") == 2; }));
    CHECK(pacs.reports().size() == 2);
    const auto profile = [&](const char* uid) {
        return read_index(node, [&](storage::Connection& db) { return storage::accepts(db, "PACS", uid); });
    };
    CHECK(profile(kSr) == true);
    CHECK(profile(kCommitment) == true);
    CHECK(node.stop() == 0);
}

TEST_CASE("Orthanc that does not know us takes the report and the commitment stays open") {
    REQUIRE(Orthanc::installed());
    const TemporaryFolder folder;
    Orthanc pacs(folder.path() / "pacs");
    Node node(folder.path() / "node", 300, pacs.as_destination());
    reports_only(node);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 52).at(0);
    send_and_complete(node, phantom);
    REQUIRE(eventually([&] { return count(node, "PACS", "sent", "requested") == 1; }));
    CHECK(pacs.reports(phantom.study_uid).size() == 1);
    CHECK(node.state_of(phantom.study_uid) == "done");
    CHECK(node.stop() == 0);
}

TEST_CASE(
    "a peer that commits over the same association and one that is killed between and one that refuses") {
    const TemporaryFolder folder;
    DimsePeer good({});
    DimsePeer::Behaviour no;
    no.rejects = true;
    DimsePeer refusing(no);
    DimsePeer::Behaviour old;
    old.not_taken = {kSr};
    DimsePeer old_pacs(old);
    const int port = free_port();
    std::vector<std::string> options = to("GOOD", good.port());
    for (const auto& more : {to("NEVER", refusing.port()), to("OLD", old_pacs.port()), to("KILLED", port)})
        options.insert(options.end(), more.begin(), more.end());
    Node node(folder.path() / "node", 300, options);
    reports_only(node, 4);
    node.start();
    const fs::path received = folder.path() / "received";
    fs::create_directories(received);
    const auto storescp = [&] {
        return Child({"storescp", "-aet", "KILLED", "-od", received.string(), std::to_string(port)},
                     folder.path() / "storescp.log");
    };
    auto killed = storescp();
    const auto phantoms = make_phantoms(folder.path() / "phantom", 3, 10, 53);
    send_and_complete(node, phantoms[0]);
    REQUIRE(eventually([&] { return count(node, "GOOD", "sent", "committed") == 1; }));
    // storescp knows no commitment: sent is the end of it.
    REQUIRE(eventually([&] { return count(node, "KILLED", "sent", "none") == 1; }));
    REQUIRE(eventually(
        [&] { return count(node, "NEVER", "refused") == 1 && count(node, "OLD", "refused") == 1; }));
    killed.send(SIGKILL);
    killed.wait();
    send_and_complete(node, phantoms[1]);
    send_and_complete(node, phantoms[2]);
    REQUIRE(eventually([&] { return count(node, "GOOD", "sent", "committed") == 3; }));
    REQUIRE(eventually([&] { return count(node, "NEVER", "refused") == 3; }));
    CHECK(count(node, "KILLED", "waiting") == 2);
    CHECK(good.stored().size() == 3);
    CHECK(good.asked().size() <= 3);
    CHECK(refusing.stored().empty());
    killed = storescp();
    REQUIRE(eventually([&] { return count(node, "KILLED", "sent", "none") == 3; }));
    CHECK(files_with_content(received).size() == 3);
    for (const auto& row : deliveries(node)) {
        if (row["destination"] == "NEVER") CHECK(row["code"] == "ASSOCIATION_REJECTED");
        if (row["destination"] == "OLD") CHECK(row["code"] == "SOP_CLASS_NOT_TAKEN");
    }
    CHECK(good.stored().size() == 3);
    CHECK(node.stop() == 0);
}

TEST_CASE("a destination that lost the object gets it again and commits then") {
    const TemporaryFolder folder;
    DimsePeer::Behaviour forgetful;
    forgetful.failure = [](const std::string&, int before) { return before == 0 ? 0x0112 : 0; };
    DimsePeer pacs(forgetful);
    Node node(folder.path() / "node", 300, to("PACS", pacs.port()));
    reports_only(node);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 10, 54).at(0);
    send_and_complete(node, phantom);
    REQUIRE(eventually([&] { return count(node, "PACS", "sent", "committed") == 1; }));
    const auto stored = pacs.stored();
    REQUIRE(stored.size() == 2);
    CHECK(stored[0] == stored[1]);
    REQUIRE(pacs.asked().size() == 2);
    CHECK(pacs.asked()[0].transaction_uid != pacs.asked()[1].transaction_uid);
    CHECK(node.stop() == 0);
}

TEST_CASE("a peer that takes only Basic Text gets that and a study without an eligible series a short one") {
    const TemporaryFolder folder;
    DimsePeer::Behaviour old;
    old.not_taken = {kSr, UID_ComprehensiveSRStorage, UID_EnhancedSRStorage};
    DimsePeer pacs(old);
    Node node(folder.path() / "node", 300, to("OLD", pacs.port()));
    node.set("/destinations/0/bundle", {{"sr", "auto"}, {"overlays", false}, {"key_objects", false}});
    node.set("/reports", {{"not_eligible", true}});
    node.start();
    const auto takes = [&](const char* uid) {
        return read_index(node, [&](storage::Connection& db) { return storage::accepts(db, "OLD", uid); });
    };
    REQUIRE(eventually([&] { return takes(UID_BasicTextSRStorage) == true; }));
    CHECK(takes(kSr) == false);
    const auto whole = make_phantoms(folder.path() / "whole", 1, 10, 57).at(0);
    const auto few = make_phantoms(folder.path() / "few", 1, 4, 58).at(0);
    send_and_complete(node, whole);
    send_and_complete(node, few);
    REQUIRE_MESSAGE(eventually([&] { return count(node, "OLD", "sent", "committed") == 2; }), node.log());
    CHECK(pacs.stored().size() == 2);
    for (const auto* study : {&whole, &few}) {
        const json results = node.ask({"studies", "why", study->study_uid})["results"];
        REQUIRE(std::ranges::count(results, json("sr-basic"), [](const json& r) { return r["kind"]; }) == 1);
        for (const auto& result : results)
            CHECK(std::ranges::count(pacs.stored(), result["sop_instance_uid"].get<std::string>()) ==
                  (result["kind"] == "sr-basic" ? 1 : 0));
    }
    const json shown = node.ask({"studies", "show", few.study_uid});
    CHECK(shown["state"] == "not_eligible");
    CHECK(shown["findings"]["any"] == "undetermined");
    CHECK(shown["reasons"][0]["code"] == "TOO_FEW_SLICES");
    CHECK(run({"dciodvfy", (node.folder() / shown["files"]["sr"].get<std::string>()).string()}).rc == 0);
    node.kill9();
    node.start();
    REQUIRE(node.command({"studies", "complete", few.study_uid}).rc == 0);
    REQUIRE(eventually([&] { return node.state_of(few.study_uid) == "not_eligible"; }));
    CHECK(node.revision_of(few.study_uid) == 1);
    CHECK(node.stop() == 0);
    CHECK(pacs.stored().size() == 2);
}

TEST_CASE("MPPS of a running node is kept over a kill and ends once") {
    const TemporaryFolder folder;
    Node node(folder.path() / "node", 300);
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 55).at(0);
    MppsSender before(node.dimse_port());
    CHECK(before.create(phantom.study_uid, "2.25.515") == 0);
    node.kill9();
    node.start();
    node.receive(phantom.slices);
    MppsSender ct(node.dimse_port());
    std::vector<std::string> images;
    for (const auto& slice : phantom.slices)
        images.push_back(storage::read_header(slice).value().sop_instance_uid);
    const std::string series = storage::read_header(phantom.slices[0]).value().series_uid;
    CHECK(ct.create(phantom.study_uid, "2.25.515") == 0x0111);
    CHECK(ct.complete("2.25.515", {{series, images}}) == 0);
    CHECK(ct.discontinue("2.25.515") == 0x0110);
    node.kill9();
    const auto steps =
        read_index(node, [&](storage::Connection& db) { return storage::mpps_of(db, phantom.study_uid); });
    REQUIRE(steps.size() == 1);
    CHECK(steps[0].state == "COMPLETED");
    CHECK(steps[0].images == images);
    node.start();
    CHECK(node.http("/metrics").second.find("scopenode_performed_procedure_steps{state=\"COMPLETED\"} 1") !=
          std::string::npos);
    CHECK(node.stop() == 0);
}

TEST_CASE("a modality asks for commitment and hears on its association or on a new one after a restart") {
    const TemporaryFolder folder;
    const int modality_port = free_port();
    Node node(folder.path() / "node", 300);
    node.set("/peers", {{{"ae_title", "CT1"}, {"host", "127.0.0.1"}, {"port", modality_port}}});
    node.start();
    const auto phantom = make_phantoms(folder.path() / "phantom", 1, 8, 56).at(0);
    const auto half = std::vector<fs::path>(phantom.slices.begin(), phantom.slices.begin() + 4);
    node.receive(half);
    auto some = question_about(phantom.slices, "2.25.901");
    {
        ModalityAssociation ct(node.dimse_port(), "CT1", {{kCommitment}});
        CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &some) == 0);
        DcmDataset information;
        CHECK(ct.hear(30, information) == 2);
        const auto report = dicom_node::decode_commitment_report(information);
        REQUIRE(report);
        int failed = 0;
        for (const auto& one : report->instances) failed += one.failure == 0x0112;
        CHECK(failed == 4);
        CHECK(report->instances.size() == 8);
        ct.release();
    }
    node.receive(phantom.slices);
    auto all = question_about(phantom.slices, "2.25.902");
    {
        ModalityAssociation ct(node.dimse_port(), "CT1", {{kCommitment}});
        CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &all) == 0);
        ct.release();
    }
    const auto requests = [&] {
        const auto study = read_index(
            node, [&](storage::Connection& db) { return storage::find_study(db, phantom.study_uid); });
        return read_index(
            node, [&](storage::Connection& db) { return storage::commitment_requests_of(db, study->id); });
    };
    // Nobody listens there yet.
    REQUIRE(eventually([&] { return requests().at(1).attempts >= 1; }));
    node.kill9();
    DimsePeer modality({}, modality_port);
    node.start();
    REQUIRE(eventually([&] { return modality.reports().size() == 1; }));
    CHECK(modality.reports()[0].transaction_uid == "2.25.902");
    CHECK(dicom_node::event_type_of(modality.reports()[0]) == 1);
    CHECK(modality.reports()[0].instances.size() == 8);
    REQUIRE(eventually([&] { return requests().at(1).state == "answered"; }));
    CHECK(requests().at(0).state == "answered");
    CHECK(node.stop() == 0);
    CHECK(modality.reports().size() == 1);
}
