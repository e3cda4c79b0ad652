#include "workflows/delivery.h"

#include <condition_variable>
#include <mutex>

#include "storage/index/results.h"
#include "tests/unit/workflows/peers_fixture.h"

using namespace scopenode;
using namespace scopenode::test;
using storage::Connection;

namespace {

constexpr const char* kSr = "1.2.840.10008.5.1.4.1.1.88.34";
constexpr const char* kSc = "1.2.840.10008.5.1.4.1.1.7";

/// Adds an object of rank 1 to the first study: its instance.
std::string add_picture(Loop& loop, int revision = 1) {
    const std::string uid = "2.25.88" + std::to_string(revision);
    REQUIRE(loop.index->write([&](Connection& db) -> Status {
        storage::ResultRow row;
        row.study_id = 1;
        row.revision = revision;
        row.kind = "sc";
        row.sop_class_uid = kSc;
        row.sop_instance_uid = uid;
        SCOPENODE_TRY(storage::supersede_results(db, 1, revision));
        SCOPENODE_ASSIGN(const auto id, storage::add_result(db, row, "bytes"));
        return storage::add_delivery(db, id, "pacs", loop.clock.now(), 1);
    }));
    return uid;
}

nlohmann::json outbox(Loop& loop) {
    return nlohmann::json::parse(outbox_list(*loop.index, "", true).value())["deliveries"];
}

}  // namespace

TEST_CASE("A dead destination costs one attempt a pause and holds nobody else up") {
    Loop loop;
    loop.settings.destinations = {{"dead", "A", "127.0.0.1", 104}, {"pacs", "B", "127.0.0.1", 105}};
    make_results(loop, 3);
    Peers peers;
    auto& dead = peers.all["dead"];
    dead.connects_with = Code::kPeerUnavailable;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(peers.all["pacs"].stored.size() == 3);
    CHECK(peers.all["pacs"].connections == 1);  // several objects over one association
    CHECK(dead.connections == 1);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(dead.connections == 1);  // its pause has not passed
    for (int pause = 1; pause <= 4; ++pause) {
        loop.clock.time += 5001 << (pause - 1);
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(dead.connections == 1 + pause);
    }
    loop.clock.time += 600'001;
    dead.connects_with.reset();
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(dead.stored.size() == 3);
    CHECK(dead.connections == 6);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(dead.connections == 6);  // sent is sent
    CHECK(outbox(loop).size() == 6);
    for (const auto& row : outbox(loop)) CHECK(row["state"] == "sent");
}

TEST_CASE("A permanent refusal ends a delivery until a person retries it") {
    Loop loop;
    make_results(loop, 2);
    Peers peers;
    auto& pacs = peers.all["pacs"];
    pacs.connects_with = Code::kPeerRefused;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    loop.clock.time += 3600'000;
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(pacs.connections <= 2);  // one attempt, and one more to learn what it takes
    CHECK(first(loop)["state"] == "refused");
    CHECK(first(loop)["code"] == "ASSOCIATION_REJECTED");
    CHECK(first(loop)["last_error"] == "pacs says no");
    pacs.connects_with.reset();
    pacs.status[""] = 0xA900;
    loop.clock.time += 3600'000;
    REQUIRE(
        run_command(*loop.index, loop.settings, loop.clock, {"outbox", "retry", first(loop)["id"].dump()}));
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(first(loop)["state"] == "refused");
    CHECK(first(loop)["code"] == "REFUSED_BY_PEER");
    CHECK(first(loop)["last_error"] == "the peer refused it, status A900: says so");
    pacs.status.clear();
    REQUIRE(
        run_command(*loop.index, loop.settings, loop.clock, {"outbox", "retry", first(loop)["id"].dump()}));
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(first(loop)["state"] == "sent");
    CHECK(first(loop)["code"].is_null());
    CHECK(pacs.stored.size() == 1);
}

TEST_CASE("The report goes first - a class that is not taken is refused by its code and the rest is sent") {
    Loop loop;
    make_results(loop, 1);
    const std::string picture = add_picture(loop);
    const std::string report = first(loop)["sop_instance_uid"];
    Peers peers;
    auto& pacs = peers.all["pacs"];
    SUBCASE("the order") {
        Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(peers.order == std::vector<std::string>{report, picture});
        CHECK(pacs.connections == 1);
    }
    SUBCASE("the report waits and so does the picture") {
        pacs.status[report] = 0x0110;
        Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(peers.order.empty());
        pacs.status.clear();
        loop.clock.time += 5001;
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(peers.order == std::vector<std::string>{report, picture});
    }
    SUBCASE("no structured reports") {
        pacs.not_taken.insert(kSr);
        Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(peers.order == std::vector<std::string>{picture});
        CHECK(first(loop)["state"] == "refused");
        CHECK(first(loop)["code"] == "SOP_CLASS_NOT_TAKEN");
        const auto accepts = [&](const char* uid) {
            return *loop.index->read([&](Connection& db) { return storage::accepts(db, "pacs", uid); });
        };
        CHECK(accepts(kSr) == false);
        CHECK(accepts(kSc) == true);
        CHECK_FALSE(accepts("1.2.3"));
    }
}

TEST_CASE("What a destination takes is learnt before anything is made for it") {
    Loop loop;
    Peers peers;
    auto& pacs = peers.all["pacs"];
    pacs.connects_with = Code::kTimeout;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(pacs.connections == 1);
    pacs.connects_with.reset();
    loop.clock.time += 5001;
    for (int i = 0; i < 3; ++i) REQUIRE(delivery.pass(loop.stopping));
    CHECK(pacs.connections == 2);
    CHECK(pacs.offered.contains(kStorageCommitment));
    CHECK(*loop.index->read([](Connection& db) { return storage::accepts(db, "pacs", kSr); }) == true);
    // Another node's destination is known by then, too.
    Delivery next(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(next.pass(loop.stopping));
    CHECK(pacs.connections == 2);
}

TEST_CASE("A destination on auto gets the richest report that it takes and an earlier one says what to do") {
    Loop loop;
    loop.settings.destinations[0].bundle = {"auto", false, false, false};
    const auto study = [](int n) {
        SmallStudy one;
        one.study_uid = "2.25.210" + std::to_string(n);
        one.series_uid = "2.25.310" + std::to_string(n);
        return one;
    };
    const auto done = [&](const SmallStudy& one) {
        loop.quiet();
        CHECK(loop.work_once());
        return loop.show(one.study_uid)["deliveries"].back();
    };
    Peers peers;
    auto& pacs = peers.all["pacs"];
    pacs.not_taken.insert({kSr, "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.22"});
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    // Nothing is known of the peer yet.
    loop.receive(study(0), 0, 8);
    CHECK(done(study(0))["state"] == "waiting");
    CHECK(loop.results_of_kind(study(0).study_uid, "sr-basic").empty());
    REQUIRE(delivery.pass(loop.stopping));
    const auto refused = loop.show(study(0).study_uid)["deliveries"][0];
    CHECK(refused["state"] == "refused");
    CHECK(refused["code"] == "SOP_CLASS_NOT_TAKEN");
    const std::string said = refused["last_error"];
    CHECK(said.find("it takes basic_text") != std::string::npos);
    CHECK(said.find("studies reprocess 2.25.2100 --force") != std::string::npos);

    const auto sent = [&](const nlohmann::json& row) {
        REQUIRE(delivery.pass(loop.stopping));
        return std::ranges::count(pacs.stored, row["sop_instance_uid"].get<std::string>()) == 1;
    };
    const auto is_basic = [&](const SmallStudy& one, const nlohmann::json& row) {
        const auto plain = loop.results_of_kind(one.study_uid, "sr-basic");
        return !plain.empty() && plain.back()["sop_instance_uid"] == row["sop_instance_uid"];
    };
    loop.receive(study(1), 0, 8);
    auto row = done(study(1));
    CHECK(is_basic(study(1), row));
    CHECK(sent(row));
    REQUIRE(run_command(*loop.index, loop.settings, loop.clock,
                        {"studies", "reprocess", study(0).study_uid, "--force"}));
    row = done(study(0));
    CHECK(is_basic(study(0), row));
    CHECK(sent(row));
    // The peer has learnt more: so does the node, one study later.
    pacs.not_taken.clear();
    loop.receive(study(2), 0, 8);
    row = done(study(2));
    CHECK(is_basic(study(2), row));
    CHECK(sent(row));
    loop.receive(study(3), 0, 8);
    row = done(study(3));
    CHECK_FALSE(is_basic(study(3), row));
    CHECK(sent(row));
}

TEST_CASE("Warnings end a delivery as the destination's policy says") {
    for (const bool success : {true, false}) {
        Loop loop;
        loop.settings.destinations[0].warnings_are_success = success;
        make_results(loop, 1);
        Peers peers;
        peers.all["pacs"].status[""] = 0xB007;
        Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(first(loop)["state"] == (success ? "sent" : "refused"));
        const std::string said = first(loop)["last_error"];
        CHECK(said.find("B007") != std::string::npos);
    }
}

TEST_CASE(
    "A peer without room pauses the destination and one that breaks off at an object lets others pass") {
    Loop loop;
    make_results(loop, 2);
    Peers peers;
    auto& pacs = peers.all["pacs"];
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    pacs.status[""] = 0xA700;
    REQUIRE(delivery.pass(loop.stopping));
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(pacs.connections == 1);
    CHECK(first(loop)["state"] == "waiting");
    CHECK(first(loop)["attempts"] == 1);
    pacs.status.clear();
    pacs.breaks = Code::kPeerUnavailable;
    loop.clock.time += 10'001;
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(first(loop)["attempts"] == 2);
    pacs.breaks.reset();
    loop.clock.time += 5001;
    REQUIRE(delivery.pass(loop.stopping));  // the first still waits for its own time
    CHECK(pacs.stored.size() == 1);
    CHECK(first(loop)["state"] == "waiting");
    loop.clock.time += 10'001;
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(pacs.stored.size() == 2);
}

TEST_CASE("An object that cannot be sent and a destination that is gone end by their codes") {
    Loop loop;
    make_results(loop, 1);
    Peers peers;
    peers.all["pacs"].breaks = Code::kCannotUnderstand;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(first(loop)["code"] == "NOT_SENDABLE");
    REQUIRE(
        run_command(*loop.index, loop.settings, loop.clock, {"outbox", "retry", first(loop)["id"].dump()}));
    loop.settings.destinations.clear();
    Delivery without(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(without.pass(loop.stopping));
    CHECK(first(loop)["state"] == "refused");
    CHECK(first(loop)["code"] == "DESTINATION_REMOVED");
}

TEST_CASE("What is superseded while others are sent is not sent") {
    Loop loop;
    make_results(loop, 1);
    const std::string old = add_picture(loop, 1);
    Peers peers;
    // The successor comes while the report is on its way.
    const auto inner = peers.port();
    bool made = false;
    std::string fresh;
    Delivery delivery(
        loop.settings, *loop.index,
        [&](const config::Destination& to, const std::vector<std::string>& classes) {
            if (!std::exchange(made, true)) fresh = add_picture(loop, 2);
            return inner(to, classes);
        },
        loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(std::ranges::count(peers.order, old) == 0);
    CHECK(std::ranges::count(peers.order, fresh) == 1);
    for (const auto& row : outbox(loop))
        if (row["sop_instance_uid"] == old) CHECK(row["state"] == "superseded");
}

TEST_CASE("The threads bring a study from its last slice to the peer though another one hangs") {
    Loop loop;
    loop.settings.intake.quiet_seconds = 0;
    loop.settings.destinations.insert(loop.settings.destinations.begin(), {"hangs", "H", "127.0.0.1", 103});
    const SystemClock clock;
    std::mutex mutex;
    std::condition_variable changed;
    Peers peers;
    bool over = false;
    const auto inner = peers.port();
    const ConnectPeer connect = [&](const config::Destination& to, const std::vector<std::string>& classes) {
        std::unique_lock lock(mutex);
        if (to.name == "hangs") changed.wait_for(lock, std::chrono::seconds(60), [&] { return over; });
        auto made = inner(to, classes);
        changed.notify_all();
        return made;
    };
    std::shared_ptr<const ml::Model> model(&loop.model, [](const ml::Model*) {});
    const ReportCommitment report = [](const auto&, const auto&) { return Status(); };
    StudyLoop threads(
        {loop.settings, *loop.index, *loop.archive, model, {}, connect, report, clock, "2.25.7", "0.0"});
    const SmallStudy study;
    loop.receive(study, 0, 9);
    REQUIRE(threads.start());
    threads.wake();
    const auto sent = [&] {
        const auto shown = loop.show(study.study_uid);
        for (const auto& row : shown["deliveries"])
            if (row["destination"] == "pacs" && row["state"] == "sent") return true;
        return false;
    };
    for (int i = 0; i < 600 && !sent(); ++i) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, std::chrono::milliseconds(100));
    }
    CHECK(sent());
    {
        std::lock_guard lock(mutex);
        over = true;
        changed.notify_all();
    }
    threads.stop();
    CHECK(threads.oldest_runnable_job_ms() == 0);
}
