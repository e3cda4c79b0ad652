#include "tests/unit/workflows/peers_fixture.h"

using namespace scopenode;
using namespace scopenode::test;

TEST_CASE("Commitment is asked for where it is offered and its answer is in the outbox") {
    Loop loop;
    make_results(loop, 2);
    Peers peers;
    auto& pacs = peers.all["pacs"];
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    SUBCASE("not offered") {
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(first(loop)["state"] == "sent");
        CHECK(first(loop)["commitment"] == "none");
        CHECK(pacs.asked.empty());
    }
    SUBCASE("committed over the same association") {
        pacs.not_taken.clear();
        pacs.reports = 0;
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(pacs.connections == 1);
        REQUIRE(pacs.asked.size() == 1);
        CHECK(pacs.asked[0].instances.size() == 2);
        CHECK(first(loop)["commitment"] == "committed");
        CHECK(first(loop)["transaction_uid"] == pacs.asked[0].transaction_uid);
    }
    SUBCASE("never") {
        pacs.not_taken.clear();
        loop.settings.destinations[0].storage_commitment = "never";
        REQUIRE(delivery.pass(loop.stopping));
        CHECK_FALSE(pacs.offered.contains(kStorageCommitment));
        CHECK(first(loop)["commitment"] == "none");
    }
    SUBCASE("always though it is not offered") {
        loop.settings.destinations[0].storage_commitment = "always";
        for (int i = 0; i < 12; ++i) {
            REQUIRE(delivery.pass(loop.stopping));
            loop.clock.time += 3600'000;
        }
        CHECK(first(loop)["state"] == "sent");
        CHECK(first(loop)["commitment"] == "given_up");
        const std::string said = first(loop)["last_error"];
        CHECK(said.find("does not offer") != std::string::npos);
    }
    SUBCASE("it offers no longer") {
        pacs.not_taken.clear();
        pacs.action_breaks = true;
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(first(loop)["commitment"] == "requested");
        pacs.not_taken.insert(kStorageCommitment);
        loop.clock.time += 600'001;
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(first(loop)["commitment"] == "none");
        CHECK(first(loop)["state"] == "sent");
    }
}

TEST_CASE("A peer that is silent is asked the same again with growing pauses and then given up") {
    Loop loop;
    make_results(loop, 1);
    Peers peers;
    auto& pacs = peers.all["pacs"];
    pacs.not_taken.clear();
    bool says_no = false;
    SUBCASE("no report") {}
    SUBCASE("a failure status each time") {
        pacs.action_status = 0x0110;
        says_no = true;
    }
    auto delivery = std::make_unique<Delivery>(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery->pass(loop.stopping));
    REQUIRE(delivery->pass(loop.stopping));
    CHECK(pacs.asked.size() == 1);
    CHECK(first(loop)["commitment"] == "requested");
    UtcMs silence = 600'000;
    for (std::size_t asked = 2; asked <= 5; ++asked, silence *= 2) {
        loop.clock.time += silence - 1;
        REQUIRE(delivery->pass(loop.stopping));
        CHECK(pacs.asked.size() == asked - 1);
        loop.clock.time += 1;
        // A restart loses nothing of it.
        delivery = std::make_unique<Delivery>(loop.settings, *loop.index, peers.port(), loop.clock);
        REQUIRE(delivery->pass(loop.stopping));
        CHECK(pacs.asked.size() == asked);
    }
    for (const auto& one : pacs.asked) CHECK(one.transaction_uid == pacs.asked[0].transaction_uid);
    loop.clock.time += silence;
    REQUIRE(delivery->pass(loop.stopping));
    CHECK(first(loop)["commitment"] == "given_up");
    CHECK(first(loop)["state"] == "sent");
    CHECK(pacs.asked.size() == 5);
    const std::string said = first(loop)["last_error"];
    CHECK((said.find("0110") != std::string::npos) == says_no);
}

TEST_CASE("An outage between sending and asking costs nothing and a rejection for good ends it") {
    Loop loop;
    make_results(loop, 1);
    Peers peers;
    auto& pacs = peers.all["pacs"];
    pacs.not_taken.clear();
    pacs.action_breaks = true;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    pacs.action_breaks = false;
    pacs.connects_with = Code::kPeerUnavailable;
    for (int hour = 0; hour < 100; ++hour) {
        loop.clock.time += 3600'000;
        REQUIRE(delivery.pass(loop.stopping));
    }
    CHECK(first(loop)["commitment"] == "requested");
    SUBCASE("it is back") {
        pacs.connects_with.reset();
        pacs.reports = 0;
        loop.clock.time += 3600'000;
        REQUIRE(delivery.pass(loop.stopping));
        CHECK(first(loop)["commitment"] == "committed");
    }
    SUBCASE("it wants us no more") {
        pacs.connects_with = Code::kPeerRefused;
        for (int hour = 0; hour < 20; ++hour) {
            loop.clock.time += 3600'000;
            REQUIRE(delivery.pass(loop.stopping));
        }
        CHECK(first(loop)["commitment"] == "given_up");
    }
}

TEST_CASE("What is not committed is sent again and three times at most") {
    Loop loop;
    make_results(loop, 1);
    Peers peers;
    auto& pacs = peers.all["pacs"];
    pacs.not_taken.clear();
    pacs.reports = 0x0112;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    for (int i = 0; i < 6; ++i) {
        REQUIRE(delivery.pass(loop.stopping));
        loop.clock.time += 5001;
    }
    CHECK(pacs.stored.size() == 3);
    CHECK(pacs.asked.size() == 3);
    CHECK(first(loop)["commitment"] == "failed");
    CHECK(first(loop)["code"] == "NOT_COMMITTED");
    pacs.reports = 0;
    REQUIRE(
        run_command(*loop.index, loop.settings, loop.clock, {"outbox", "retry", first(loop)["id"].dump()}));
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(first(loop)["commitment"] == "committed");
}
