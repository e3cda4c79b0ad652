#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "tests/unit/workflows/loop_fixture.h"

using namespace scopenode;
using test::Loop;
using test::SmallStudy;

namespace {

/// Peers that answer as they are told and remember what they got.
struct Peers {
    std::map<std::string, Code> refusing;
    std::vector<std::string> calls;
    std::map<std::string, std::set<std::string>> stored;

    workflows::SendObject port() {
        return [this](const config::Destination& peer, const workflows::SendItem& item) -> Status {
            calls.push_back(peer.name);
            if (const auto fault = refusing.find(peer.name); fault != refusing.end())
                return fail(fault->second, "{} says no", peer.name);
            CHECK(item.bytes.size() > 132);
            stored[peer.name].insert(item.sop_instance_uid);
            return {};
        };
    }
};

const config::Destination::Bundle kReportsOnly{"comprehensive3d", false, false, false};

void make_results(Loop& loop, int count) {
    for (int n = 0; n < count; ++n) {
        SmallStudy study;
        study.study_uid = "2.25.200" + std::to_string(n);
        study.series_uid = "2.25.300" + std::to_string(n);
        loop.receive(study, 0, 8);
    }
    loop.quiet();
    while (loop.work_once()) continue;
}

}  // namespace

TEST_CASE("A dead destination waits with growing pauses and holds nobody else up") {
    Loop loop;
    loop.settings.destinations = {{"dead", "A", "127.0.0.1", 104, false, kReportsOnly},
                                  {"pacs", "B", "127.0.0.1", 105, false, kReportsOnly}};
    make_results(loop, 3);
    Peers peers;
    peers.refusing["dead"] = Code::kPeerUnavailable;
    workflows::Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(peers.stored["pacs"].size() == 3);
    CHECK(std::count(peers.calls.begin(), peers.calls.end(), "dead") == 1);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(std::count(peers.calls.begin(), peers.calls.end(), "dead") == 1);  // its pause has not passed
    loop.clock.time += 5001;
    peers.refusing.clear();
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(peers.stored["dead"].size() == 3);
    CHECK(peers.calls.size() == 7);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(peers.calls.size() == 7);  // sent is sent
    const auto rows = nlohmann::json::parse(workflows::outbox_list(*loop.index, "sent", true).value());
    CHECK(rows["deliveries"].size() == 6);
}

TEST_CASE("A permanent refusal ends a delivery until a person retries it") {
    Loop loop;
    loop.settings.destinations[0].bundle = kReportsOnly;
    make_results(loop, 1);
    Peers peers;
    peers.refusing["pacs"] = Code::kPeerRefused;
    workflows::Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    loop.clock.time += 3600'000;
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(peers.calls.size() == 1);
    const auto shown = loop.show("2.25.2000")["deliveries"][0];
    CHECK(shown["state"] == "refused");
    CHECK(shown["last_error"] == "pacs says no");
    peers.refusing.clear();
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock,
                                   {"outbox", "retry", shown["id"].dump()}));
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(loop.show("2.25.2000")["deliveries"][0]["state"] == "sent");
}

TEST_CASE("The three threads bring a study from its last slice to the peer") {
    Loop loop;
    loop.settings.intake.quiet_seconds = 0;
    loop.settings.destinations[0].bundle = kReportsOnly;
    const SystemClock clock;
    std::mutex mutex;
    std::condition_variable arrived;
    int sent = 0;
    const workflows::SendObject send = [&](const config::Destination&, const workflows::SendItem&) -> Status {
        std::lock_guard lock(mutex);
        ++sent;
        arrived.notify_all();
        return {};
    };
    std::shared_ptr<const ml::Model> model(&loop.model, [](const ml::Model*) {});
    workflows::StudyLoop threads(
        {loop.settings, *loop.index, *loop.archive, model, send, clock, "2.25.7", "0.0"});
    const SmallStudy study;
    loop.receive(study, 0, 9);
    REQUIRE(threads.start());
    threads.wake();
    {
        std::unique_lock lock(mutex);
        CHECK(arrived.wait_for(lock, std::chrono::seconds(60), [&] { return sent == 1; }));
    }
    threads.stop();
    CHECK(loop.show(study.study_uid)["deliveries"][0]["state"] == "sent");
    CHECK(threads.oldest_runnable_job_ms() == 0);
}
