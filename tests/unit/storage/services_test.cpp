#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <set>

#include "storage/dicom/parse.h"
#include "storage/index/commitments.h"
#include "storage/index/mpps.h"
#include "storage/index/outbox.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "tests/unit/storage/node.h"

namespace scopenode::storage {
namespace {

using test::Ct;
using test::Node;

/// A result of study 1 with a delivery to "pacs": its number.
Result<std::int64_t> make_delivery(Connection& db, int revision, const std::string& kind, int rank) {
    ResultRow row;
    row.study_id = 1;
    row.revision = revision;
    row.kind = kind;
    row.sop_class_uid = "1.2.840.10008.5.1.4.1.1.88.34";
    row.sop_instance_uid = fmt::format("2.25.7{}{}", revision, rank);
    SCOPENODE_TRY(supersede_results(db, row.study_id, row.revision));
    SCOPENODE_ASSIGN(const auto result, add_result(db, row, "bytes"));
    SCOPENODE_TRY(add_delivery(db, result, "pacs", 10, rank));
    SCOPENODE_ASSIGN(const auto all, deliveries_of(db, 1));
    return all.back().id;
}
OutboxRow delivery(Connection& db, std::int64_t id) {
    const auto rows = deliveries_of(db, 1);
    REQUIRE(rows);
    for (const auto& row : *rows)
        if (row.id == id) return row;
    return {};
}
void within(Node& node, const std::function<Status(Connection&)>& body) {
    const Status done = node.index->write(body);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
}
/// What the destination says of all instances of the only open transaction.
CommitmentNotice say(Connection& db, int failure) {
    const auto open = *commitments_due(db, "pacs", 1'000'000);
    REQUIRE(open.size() == 1);
    CommitmentNotice report{open[0].transaction_uid, open[0].instances};
    for (auto& one : report.instances) one.failure = failure;
    return report;
}

}  // namespace

TEST_CASE("a performed procedure step is created once and changed until it has ended") {
    Node node;
    REQUIRE(node.store(Ct{}));
    within(node, [](Connection& db) -> Status {
        SCOPENODE_TRY(finish_events(db, {1}));
        MppsRow row;
        row.sop_instance_uid = "2.25.50";
        row.state = "IN PROGRESS";
        row.study_uids = {"2.25.1", "2.25.999", "2.25.1"};
        row.calling_ae = "CT1";
        row.station_ae = "CT1S";
        row.created = 100;
        SCOPENODE_TRY(create_mpps(db, row, {}));
        CHECK(create_mpps(db, row, {}).error().code == Code::kConflict);
        // Only for the study that is known.
        CHECK(pending_events(db, 10)->size() == 1);
        CHECK(pending_events(db, 10)->front().kind == "mpps");
        CHECK(pending_events(db, 10)->front().study_id == 1);
        SCOPENODE_TRY(change_mpps(db, "2.25.50", {"", {{{"2.25.2", {"2.25.3"}}}}, ""}, 200));
        CHECK(mpps_of(db, "2.25.1")->front().state == "IN PROGRESS");
        SCOPENODE_TRY(
            change_mpps(db, "2.25.50", {"COMPLETED", {{{"2.25.2", {"2.25.3", "2.25.4"}}}}, ""}, 300));
        CHECK(change_mpps(db, "2.25.50", {"IN PROGRESS", {}, ""}, 400).error().code == Code::kConflict);
        CHECK(change_mpps(db, "2.25.51", {"COMPLETED", {}, ""}, 400).error().code == Code::kNotFound);
        CHECK(pending_events(db, 10)->size() == 3);
        for (const char* study : {"2.25.1", "2.25.999"}) {
            const auto rows = *mpps_of(db, study);
            REQUIRE(rows.size() == 1);
            CHECK(rows[0].state == "COMPLETED");
            CHECK(rows[0].images == std::vector<std::string>{"2.25.3", "2.25.4"});
            CHECK(rows[0].study_uids == std::vector<std::string>{"2.25.1", "2.25.999"});
            CHECK(rows[0].created == 100);
            CHECK(rows[0].ended == 300);
            CHECK(rows[0].calling_ae == "CT1");
            CHECK(rows[0].station_ae == "CT1S");
        }
        CHECK(mpps_of(db, "2.25.2")->empty());
        CHECK(mpps_counts(db)->at("COMPLETED") == 1);
        return {};
    });
}

TEST_CASE("a commitment request is kept once and found by the studies of its instances") {
    Node node;
    REQUIRE(node.store(Ct{}));
    within(node, [](Connection& db) -> Status {
        SCOPENODE_TRY(finish_events(db, {1}));
        CommitmentNotice question{"2.25.60", {{test::kCt, "2.25.3", {}, 0}, {test::kCt, "2.25.4", {}, 0}}};
        SCOPENODE_ASSIGN(const auto id, add_commitment_request(db, question, "CT1", 100, 200));
        CHECK(*add_commitment_request(db, question, "CT1", 110, 210) == id);
        CHECK(*add_commitment_request(db, question, "CT2", 110, 210) != id);
        question.instances.pop_back();
        CHECK(add_commitment_request(db, question, "CT1", 120, 220).error().code == Code::kConflict);
        CHECK(pending_events(db, 10)->front().kind == "commitment");
        CHECK(pending_events(db, 10)->size() == 2);
        CHECK(commitment_reports_due(db, 209, 10)->empty());
        auto row = commitment_requests_of(db, 1)->at(0);
        CHECK(row.id == id);
        REQUIRE(row.instances.size() == 2);
        CHECK(row.instances[0].study_id == 1);
        CHECK(row.instances[1].study_id == 0);
        CHECK_FALSE(row.instances[0].failure);
        row.instances[0].failure = 0;
        row.instances[1].failure = failure_reason::kNoSuchInstance;
        SCOPENODE_TRY(commitment_checked(db, id, row.instances));
        SCOPENODE_TRY(commitment_not_reported(db, id, "nobody there", 300));
        row = **find_commitment_request(db, id);
        CHECK(row.instances[1].failure == 0x0112);
        CHECK(row.attempts == 1);
        CHECK(row.state == "waiting");
        SCOPENODE_TRY(commitment_reported(db, id, 310));
        CHECK((*find_commitment_request(db, id))->state == "answered");
        CHECK((*find_commitment_request(db, id))->answered == 310);
        CHECK(commitment_requests_of(db, 2)->empty());
        CHECK_FALSE(*find_commitment_request(db, 99));
        return {};
    });
}

TEST_CASE("nothing of a study goes out before what ranks lower has ended") {
    Node node;
    REQUIRE(node.store(Ct{}));
    within(node, [](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto overlay, make_delivery(db, 1, "sc", 1));
        SCOPENODE_ASSIGN(const auto report, make_delivery(db, 1, "sr", 0));
        CHECK((*next_delivery(db, "pacs", 10))->id == report);
        CHECK(*waiting_destinations(db) == std::vector<std::string>{"pacs"});
        CHECK(waiting_classes(db, "pacs")->size() == 1);
        SCOPENODE_TRY(delivery_failed(db, report, "later", 100));
        CHECK_FALSE(*next_delivery(db, "pacs", 50));
        SCOPENODE_TRY(delivery_failed(db, report, "never", std::nullopt, "REFUSED_BY_PEER"));
        CHECK(delivery(db, report).state == "refused");
        CHECK(delivery(db, report).reason_code == "REFUSED_BY_PEER");
        CHECK((*next_delivery(db, "pacs", 50))->id == overlay);
        CHECK(oldest_waiting(db)->count("pacs") == 1);
        CHECK(*refuse_waiting(db, "pacs", "gone", "DESTINATION_REMOVED") == 1);
        CHECK(waiting_destinations(db)->empty());
        SCOPENODE_TRY(retry_delivery(db, overlay, 60));
        CHECK(delivery(db, overlay).reason_code == "");
        // A result with a successor is not sent any more, whoever asks.
        SCOPENODE_TRY(make_delivery(db, 2, "sr", 2));
        CHECK(retry_delivery(db, report, 60).error().code == Code::kConflict);
        CHECK(retry_delivery(db, overlay, 60).error().code == Code::kConflict);
        return {};
    });
}

TEST_CASE(
    "commitment of a delivery: asked for once with a UID that a crash does not change - three tries in all") {
    Node node;
    REQUIRE(node.store(Ct{}));
    within(node, [](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto id, make_delivery(db, 1, "sr", 0));
        CHECK_FALSE(*commitment_is_due(db, "pacs", 20));
        SCOPENODE_TRY(delivery_sent(db, id, 20, true));
        CHECK(*commitment_is_due(db, "pacs", 20));
        SCOPENODE_TRY(open_commitments(db, "pacs", 20));
        SCOPENODE_TRY(open_commitments(db, "pacs", 21));
        std::set<std::string> transactions{say(db, 0).transaction_uid};
        CHECK(delivery(db, id).transaction_uid == *transactions.begin());
        SCOPENODE_TRY(commitment_asked(db, 1, 500, ""));
        CHECK_FALSE(*commitment_is_due(db, "pacs", 499));
        CHECK(*commitment_is_due(db, "pacs", 500));
        for (int round = 1; round <= 3; ++round) {
            const auto report = say(db, 0x0112);
            transactions.insert(report.transaction_uid);
            CHECK(*answer_commitment(db, report, 30, 40));
            CHECK(*answer_commitment(db, report, 31, 50));  // twice is once
            CHECK(delivery(db, id).commitment == "failed");
            CHECK(delivery(db, id).state == (round < 3 ? "waiting" : "sent"));
            if (round == 3) break;
            CHECK(delivery(db, id).next == 40);
            SCOPENODE_TRY(delivery_sent(db, id, 60, true));
            SCOPENODE_TRY(open_commitments(db, "pacs", 60));
        }
        CHECK(transactions.size() == 3);
        CHECK(delivery(db, id).reason_code == "NOT_COMMITTED");
        CHECK(commitment_counts(db)->at("failed") == 1);
        // A person may try again.
        SCOPENODE_TRY(retry_delivery(db, id, 70));
        SCOPENODE_TRY(delivery_sent(db, id, 71, true));
        SCOPENODE_TRY(open_commitments(db, "pacs", 72));
        const auto good = say(db, 0);
        CHECK(transactions.count(good.transaction_uid) == 0);
        CHECK(*answer_commitment(db, good, 80, 90));
        CHECK(delivery(db, id).commitment == "committed");
        CHECK_FALSE(*answer_commitment(db, {"2.25.1", {}}, 80, 90));
        CHECK(retry_delivery(db, id, 99).error().code == Code::kConflict);
        return {};
    });
}

TEST_CASE("a report after all was given up counts - one that names nothing and a duplicate do not end it") {
    Node node;
    REQUIRE(node.store(Ct{}));
    within(node, [](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto id, make_delivery(db, 1, "sr", 0));
        SCOPENODE_TRY(delivery_sent(db, id, 20, true));
        SCOPENODE_TRY(open_commitments(db, "pacs", 20));
        // A peer that has the transaction already gets another one for the same object.
        const auto first = say(db, failure_reason::kDuplicateTransaction);
        CHECK(*answer_commitment(db, first, 30, 40));
        CHECK(delivery(db, id).state == "sent");
        CHECK(delivery(db, id).commitment == "requested");
        SCOPENODE_TRY(open_commitments(db, "pacs", 50));
        const auto second = say(db, 0);
        CHECK(second.transaction_uid != first.transaction_uid);
        SCOPENODE_TRY(end_commitment(db, 2, "given_up", "silence", 60));
        CHECK(delivery(db, id).commitment == "given_up");
        CHECK_FALSE(*commitment_is_due(db, "pacs", 1'000'000));
        CHECK(*answer_commitment(db, second, 70, 80));
        CHECK(delivery(db, id).commitment == "committed");
        SCOPENODE_ASSIGN(const auto other, make_delivery(db, 2, "ko", 1));
        SCOPENODE_TRY(delivery_sent(db, other, 90, true));
        SCOPENODE_TRY(open_commitments(db, "pacs", 90));
        auto silent = say(db, 0);
        silent.instances.clear();
        CHECK(*answer_commitment(db, silent, 95, 99));
        CHECK(delivery(db, other).state == "waiting");
        SCOPENODE_TRY(delivery_sent(db, other, 100, true));
        SCOPENODE_TRY(open_commitments(db, "pacs", 100));
        SCOPENODE_TRY(end_commitment(db, 4, "none", "", 101));
        CHECK(delivery(db, other).commitment == "none");
        CHECK_FALSE(*commitment_is_open(db, 4));
        return {};
    });
}

TEST_CASE("an object that was not committed and has a successor is not sent again") {
    Node node;
    REQUIRE(node.store(Ct{}));
    within(node, [](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto id, make_delivery(db, 1, "sr", 0));
        SCOPENODE_TRY(delivery_sent(db, id, 20, true));
        SCOPENODE_TRY(open_commitments(db, "pacs", 20));
        SCOPENODE_TRY(make_delivery(db, 2, "sr", 1));
        CHECK(*answer_commitment(db, say(db, 0x0112), 30, 40));
        CHECK(delivery(db, id).state == "superseded");
        return {};
    });
}

TEST_CASE("a data set of a message is read within bounds and only as it was announced") {
    const std::string implicit = "1.2.840.10008.1.2";
    const std::string whole("\x10\0\x20\0\2\0\0\0P1", 10);
    DcmDataset good;
    REQUIRE(parse_data_set(good, whole, implicit));
    OFString id;
    good.findAndGetOFString(DCM_PatientID, id);
    CHECK(id == "P1");
    DcmDataset none;
    CHECK(parse_data_set(none, "", implicit));
    DcmDataset cut, packed;
    CHECK(parse_data_set(cut, whole.substr(0, 9), implicit).error().code == Code::kCannotUnderstand);
    CHECK(parse_data_set(packed, whole, "1.2.840.10008.1.2.4.70").error().code == Code::kUnsupported);
    CHECK(parse_data_set(packed, whole, "1.2.3").error().code == Code::kUnsupported);
}

TEST_CASE("what a destination takes is learnt and forgotten by newer negotiation") {
    Node node;
    within(node, [](Connection& db) -> Status {
        CHECK_FALSE(*accepts(db, "pacs", "1.2.3"));
        SCOPENODE_TRY(learn_profile(db, "pacs", {{"1.2.3", true}, {"1.2.4", false}}, 10));
        CHECK(*accepts(db, "pacs", "1.2.3") == true);
        CHECK(*accepts(db, "pacs", "1.2.4") == false);
        SCOPENODE_TRY(learn_profile(db, "pacs", {{"1.2.4", true}}, 20));
        CHECK(profile_of(db, "pacs")->size() == 2);
        CHECK(*accepts(db, "pacs", "1.2.4") == true);
        CHECK_FALSE(*accepts(db, "other", "1.2.4"));
        return {};
    });
}

}  // namespace scopenode::storage
