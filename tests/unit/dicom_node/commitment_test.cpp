#include <filesystem>
#include <map>
#include <set>

#include "dicom_node/dimse/notices.h"
#include "tests/support/dimse/peer.h"
#include "tests/unit/dicom_node/services_fixture.h"

namespace fs = std::filesystem;
using namespace scopenode;
using namespace scopenode::test;

namespace {

inline const std::string kTransaction = "2.25.4711";

DcmDataset question(const std::vector<std::pair<std::string, std::string>>& instances,
                    const std::string& transaction = kTransaction) {
    CommitmentNotice notice{transaction, {}};
    for (const auto& [sop_class, uid] : instances) notice.instances.push_back({sop_class, uid, {}, 0});
    DcmDataset data_set;
    encode_commitment_request(notice, data_set);
    return data_set;
}
std::map<std::string, int> failures(const CommitmentNotice& notice) {
    std::map<std::string, int> all;
    for (const auto& one : notice.instances) all[one.sop_instance_uid] = one.failure.value_or(-1);
    return all;
}

/// Three requests of CT1; the report on the third is still an association's.
void owe_three(Services& scp) {
    const CommitmentNotice asked{kTransaction, {{kCt, slice_uid(0), {}, 0}}};
    for (int i = 0; i < 3; ++i) {
        auto one = asked;
        one.transaction_uid += std::to_string(i);
        const auto id = scp.commitment->accept(one, "CT1").value();
        if (i < 2) REQUIRE(scp.commitment->not_reported(id));
    }
}

}  // namespace
TEST_CASE("commitment: answered over the same association with what is here and what is not") {
    Services scp;
    for (int i = 0; i < 4; ++i) scp.store(i);
    // Gone from the disk, and shorter than it was.
    for (const int i : {2, 3}) {
        const auto row = scp.read([&](Connection& db) { return storage::find_instance(db, slice_uid(i)); });
        const fs::path file = scp.archive->absolute(row->path);
        if (i == 2)
            fs::remove(file);
        else
            fs::resize_file(file, 200);
    }
    ModalityAssociation ct(scp.server->port(), "CT1", {{kCommitment}});
    CHECK(ct.accepted(kCommitment) == "default");
    auto ask = question({{kCt, slice_uid(0)},
                         {UID_MRImageStorage, slice_uid(1)},
                         {kCt, slice_uid(2)},
                         {kCt, slice_uid(3)},
                         {kCt, "2.25.404"}});
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &ask) == 0);
    DcmDataset information;
    CHECK(ct.hear(30, information) == 2);
    const auto report = decode_commitment_report(information);
    REQUIRE(report);
    CHECK(report->transaction_uid == kTransaction);
    CHECK(failures(*report) == std::map<std::string, int>{{slice_uid(0), 0},
                                                          {slice_uid(1), 0x0119},
                                                          {slice_uid(2), 0x0112},
                                                          {slice_uid(3), 0x0112},
                                                          {"2.25.404", 0x0112}});
    CHECK(scp.answered());
    // All are here: event type 1, over the same association once more.
    auto again = question({{kCt, slice_uid(0)}, {kCt, slice_uid(1)}}, "2.25.4712");
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &again) == 0);
    CHECK(ct.hear(30, information) == 1);
    CHECK(scp.answered(2));
    ct.release();
    const auto study =
        scp.read([](Connection& db) { return storage::find_study(db, test::SmallStudy{}.study_uid); });
    const auto kept =
        scp.read([&](Connection& db) { return storage::commitment_requests_of(db, study->id); });
    REQUIRE(kept.size() == 2);
    CHECK(kept[0].calling_ae == "CT1");
    CHECK(kept[0].instances.size() == 5);
    int told = 0;
    for (const auto& event : scp.events()) told += event.kind == "commitment" && event.study_id == study->id;
    CHECK(told == 2);
}

TEST_CASE("commitment: what is wrong with a question has its status") {
    Services scp;
    ModalityAssociation ct(scp.server->port(), "CT1", {{kCommitment}, {kMpps}});
    auto good = question({{kCt, "2.25.3"}});
    auto no_transaction = question({{kCt, "2.25.3"}}, "");
    auto nothing = question({});
    auto illegal = question({{kCt, "no UID"}});
    auto other = question({{kCt, "2.25.5"}});
    CHECK(ct.n_action(kCommitment, "1.2.3", 1, &good) == 0x0112);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 2, &good) == 0x0123);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &no_transaction) == 0x0115);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &nothing) == 0x0115);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &illegal) == 0x0115);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, nullptr) == 0x0115);
    CHECK(ct.n_action(kMpps, kCommitmentInstance, 1, &good) == 0x0122);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &good) == 0);
    DcmDataset information;
    CHECK(ct.hear(30, information) == 2);
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &other) == 0x0115);
    CHECK(!ct.comment.empty());
    ct.release();
    // A server without the service does not accept the class.
    auto without = DimseServer::start({}, *scp.archive, {}).value();
    ModalityAssociation plain(without->port(), "CT1", {{kCommitment}, {kMpps}});
    CHECK(plain.accepted(kCommitment) == "");
    CHECK(plain.accepted(kMpps) == "default");
    plain.release();
    without->stop(5);
}

TEST_CASE("commitment: a peer that goes on with its own commands hears the report when it is done") {
    Services scp;
    scp.store(0);
    ModalityAssociation ct(scp.server->port(), "CT1", {{UID_VerificationSOPClass}, {kCommitment}});
    auto ask = question({{kCt, slice_uid(0)}});
    ct.echo_behind = true;
    CHECK(ct.n_action(kCommitment, kCommitmentInstance, 1, &ask) == 0);
    DcmDataset information;
    CHECK(ct.hear(30, information) == 1);
    CHECK(scp.answered());
    ct.release();
}

TEST_CASE("commitment: who has left hears on a new association in the role of the SCU") {
    Services scp;
    scp.store(0);
    DimsePeer ct({});
    scp.know("CT1", ct.port());
    const std::atomic<bool> stopping{false};
    auto ask = question({{kCt, slice_uid(0)}, {kCt, "2.25.404"}});
    SUBCASE("it released") {
        ModalityAssociation asking(scp.server->port(), "CT1", {{kCommitment}});
        CHECK(asking.n_action(kCommitment, kCommitmentInstance, 1, &ask) == 0);
        asking.release();
    }
    SUBCASE("it broke off") {
        ModalityAssociation asking(scp.server->port(), "CT1", {{kCommitment}});
        CHECK(asking.n_action(kCommitment, kCommitmentInstance, 1, &ask) == 0);
        asking.abort();
    }
    SUBCASE("it did not like the report") {
        ModalityAssociation asking(scp.server->port(), "CT1", {{kCommitment}});
        CHECK(asking.n_action(kCommitment, kCommitmentInstance, 1, &ask) == 0);
        DcmDataset information;
        CHECK(asking.hear(30, information, 0x0110) == 2);
        asking.release();
    }
    CHECK(test::eventually([&] { return scp.woken > 0; }));
    CHECK(test::eventually([&] { return scp.request().next <= scp.clock.now(); }));
    REQUIRE(scp.commitment->pass(stopping).value());
    REQUIRE(ct.reports().size() == 1);
    CHECK(failures(ct.reports()[0]) == std::map<std::string, int>{{slice_uid(0), 0}, {"2.25.404", 0x0112}});
    CHECK(scp.answered());
    CHECK_FALSE(scp.commitment->pass(stopping).value());
    CHECK(ct.reports().size() == 1);
}

TEST_CASE("commitment: a report that a peer cannot be given is one attempt a pause") {
    Services scp;
    scp.store(0);
    const std::atomic<bool> stopping{false};
    const int port = test::free_port();
    owe_three(scp);
    SUBCASE("no address") {
        CHECK_FALSE(scp.commitment->pass(stopping).value());
        CHECK(scp.request(1).last_error.find("/peers") != std::string::npos);
    }
    SUBCASE("nobody there") {
        scp.know("CT1", port);
        CHECK_FALSE(scp.commitment->pass(stopping).value());
    }
    SUBCASE("it takes no reports") {
        DimsePeer::Behaviour no;
        no.commitment = false;
        DimsePeer ct(no, port);
        scp.know("CT1", port);
        CHECK_FALSE(scp.commitment->pass(stopping).value());
        CHECK(ct.associations() == 1);
    }
    SUBCASE("it answers with a failure") {
        DimsePeer::Behaviour no;
        no.report_status = 0x0110;
        DimsePeer ct(no, port);
        scp.know("CT1", port);
        CHECK_FALSE(scp.commitment->pass(stopping).value());
        CHECK(scp.request(1).last_error.find("0110") != std::string::npos);
    }
    // One attempt for all that waits for it.
    CHECK(scp.request(1).attempts == 1);
    CHECK(scp.request(2).attempts == 0);
    CHECK(scp.request(2).next == scp.request(1).next);
    CHECK(scp.request(3).next > scp.request(1).next);
}

TEST_CASE("commitment: a peer that was away is told when it is back - or never") {
    Services scp;
    scp.store(0);
    const std::atomic<bool> stopping{false};
    const int port = test::free_port();
    scp.know("CT1", port);
    owe_three(scp);
    CHECK_FALSE(scp.commitment->pass(stopping).value());
    SUBCASE("it comes back") {
        scp.clock.time += 120'000;
        DimsePeer ct({}, port);
        CHECK(scp.commitment->pass(stopping).value());
        CHECK(ct.reports().size() == 3);
        for (int id = 1; id <= 3; ++id) CHECK(scp.request(id).state == "answered");
    }
    SUBCASE("it never comes back") {
        scp.clock.time += UtcMs{73} * 3600'000;
        for (int i = 0; i < 3; ++i) CHECK_FALSE(scp.commitment->pass(stopping).value());
        CHECK(scp.request(1).state == "given_up");
    }
}

TEST_CASE("commitment: a request that no association holds any more after a crash is taken up") {
    Services scp;
    scp.store(0);
    DimsePeer ct({});
    scp.know("CT1", ct.port());
    const std::atomic<bool> stopping{false};
    REQUIRE(scp.commitment->accept({kTransaction, {{kCt, slice_uid(0), {}, 0}}}, "CT1"));
    CHECK_FALSE(scp.commitment->pass(stopping).value());
    scp.clock.time += 60'001;
    CHECK(scp.commitment->pass(stopping).value());
    CHECK(ct.reports().size() == 1);
    // Nobody tells it twice.
    CHECK(scp.commitment->check(1).error().code == Code::kConflict);
    CHECK(scp.commitment->check(99).error().code == Code::kNotFound);
}

TEST_CASE("reports to us: the SCP's role is accepted and a transaction that is not ours is refused") {
    Services scp;
    ModalityAssociation pacs(scp.server->port(), "PACS", {{kCommitment, true}});
    CHECK(pacs.accepted(kCommitment) == "scp");
    DcmDataset information;
    encode_commitment_report({kTransaction, {{kCt, "2.25.3", 0, 0}}}, information);
    CHECK(pacs.n_event_report(kCommitment, kCommitmentInstance, 1, &information) == 0x0115);
    CHECK(pacs.n_event_report(kCommitment, kCommitmentInstance, 3, &information) == 0x0113);
    DcmDataset empty;
    empty.putAndInsertString(DCM_PatientID, "P1");
    CHECK(pacs.n_event_report(kCommitment, kCommitmentInstance, 1, &empty) == 0x0115);
    CHECK(pacs.n_event_report(kCommitment, kCommitmentInstance, 1, nullptr) == 0x0115);
    pacs.release();
}

TEST_CASE(
    "a destination's answers: reports over the same association also before the response to the next "
    "question") {
    DimsePeer pacs({});
    const config::Destination to{"PACS", "PACS", "127.0.0.1", pacs.port()};
    auto open = connect_peer("SCOPENODE", to, {kCt, kCommitment});
    REQUIRE(open);
    REQUIRE((*open)->takes(kCommitment));
    const CommitmentNotice first{"2.25.1", {{kCt, "2.25.3", {}, 0}}},
        second{"2.25.2", {{kCt, "2.25.4", {}, 0}}};
    CHECK((*open)->ask_commitment(first).value().status == 0);
    CHECK(test::eventually([&] { return pacs.asked().size() == 1; }));
    CHECK((*open)->ask_commitment(second).value().status == 0);
    std::set<std::string> heard;
    for (int i = 0; i < 100 && heard.size() < 2; ++i) {
        const auto report = (*open)->next_report(std::chrono::milliseconds(100));
        REQUIRE(report);
        if (*report) heard.insert((*report)->transaction_uid);
    }
    CHECK(heard == std::set<std::string>{"2.25.1", "2.25.2"});
    CHECK_FALSE((*open)->next_report(std::chrono::milliseconds(1)).value());
    pacs.change([](auto& b) { b.action_status = 0x0110; });
    CHECK((*open)->ask_commitment(first).value().status == 0x0110);
    pacs.stop();
    const auto lost = (*open)->ask_commitment(first);
    REQUIRE(!lost);
    CHECK(lost.error().retryable());
    CHECK_FALSE((*open)->usable());
}
