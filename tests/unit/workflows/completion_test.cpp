#include "workflows/completion.h"

#include <doctest/doctest.h>

#include <random>

using namespace scopenode;
using namespace scopenode::workflows;

namespace {

const CompletionRules kRules{10'000, 3, 100'000};

/// Forty objects, the last of them at 5 s.
Arrival arrival() {
    Arrival a;
    a.opened = 1000;
    a.last_received = 5000;
    a.received = 40;
    return a;
}

}  // namespace

TEST_CASE("Without any other evidence a study is complete after the quiet time") {
    const auto early = judge_arrival(arrival(), kRules, 14'999);
    CHECK_FALSE(early.complete);
    CHECK(early.look_again == 15'000);
    const auto late = judge_arrival(arrival(), kRules, 15'000);
    CHECK(late.complete);
    CHECK(late.by == "quiet time");
}

TEST_CASE("Each explicit signal completes a study at once and says so") {
    Arrival a = arrival();
    a.command = true;
    CHECK(judge_arrival(a, kRules, 5001).by == "command");
    a = arrival();
    a.mpps = Arrival::Step::kEnded;
    a.mpps_images = 40;
    CHECK(judge_arrival(a, kRules, 5001).by == "MPPS");
    a.mpps_images = 0;  // it may have ended before the first image was sent
    CHECK_FALSE(judge_arrival(a, kRules, 5001).complete);
    a.association_end = 5000;
    CHECK(judge_arrival(a, kRules, 5001).by == "MPPS");
    a = arrival();
    a.commit_images = 40;
    CHECK(judge_arrival(a, kRules, 5001).by == "commitment request");
    a = arrival();
    a.expected = 40;
    CHECK_FALSE(judge_arrival(a, kRules, 5001).complete);
    a.association_end = 5000;
    CHECK(judge_arrival(a, kRules, 5001).by == "expected count");
    CHECK(judge_arrival(a, kRules, 5001).detail.find("40 objects are here") != std::string::npos);
}

TEST_CASE("A signal does not complete a study whose objects are not all here") {
    Arrival a = arrival();
    a.mpps = Arrival::Step::kEnded;
    a.mpps_images = 42;
    a.mpps_missing = 2;
    CHECK_FALSE(judge_arrival(a, kRules, 20'000).complete);
    CHECK(judge_arrival(a, kRules, 20'000).look_again == 35'000);
    CHECK(judge_arrival(a, kRules, 35'000).by == "quiet time");
    CHECK(judge_arrival(a, kRules, 35'000).detail.find("2 images that are not here") != std::string::npos);
    a = arrival();
    a.mpps = Arrival::Step::kEnded;
    a.stack_missing = 3;
    CHECK_FALSE(judge_arrival(a, kRules, 15'000).complete);
    a = arrival();
    a.commit_images = 30;  // the modality commits series by series
    CHECK_FALSE(judge_arrival(a, kRules, 5001).complete);
    a = arrival();
    a.expected = 41;
    a.association_end = 5000;
    CHECK_FALSE(judge_arrival(a, kRules, 34'999).complete);
    CHECK(judge_arrival(a, kRules, 35'000).complete);
    a = arrival();
    a.association_open = true;
    CHECK_FALSE(judge_arrival(a, kRules, 34'999).complete);
    CHECK(judge_arrival(a, kRules, 35'000).complete);
}

TEST_CASE("A procedure step in progress holds the quiet time off until the hard limit") {
    Arrival a = arrival();
    a.mpps = Arrival::Step::kInProgress;
    const auto waiting = judge_arrival(a, kRules, 90'000);
    CHECK_FALSE(waiting.complete);
    CHECK(waiting.look_again == 101'000);
    CHECK(judge_arrival(a, kRules, 101'000).by == "hard limit");
}

TEST_CASE("Whatever the evidence a study is complete in the end and the next look is never in the past") {
    std::mt19937 random(7);
    const auto upto = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most + 1)); };
    for (int i = 0; i < 20'000; ++i) {
        Arrival a;
        a.opened = upto(50'000);
        a.last_received = a.opened + upto(60'000);
        a.mpps = static_cast<Arrival::Step>(upto(2));
        a.mpps_images = upto(3);
        a.mpps_missing = upto(a.mpps_images);
        a.commit_images = upto(3);
        a.commit_missing = upto(a.commit_images);
        a.expected = upto(4);
        a.received = upto(4);
        a.stack_missing = upto(2);
        a.association_open = upto(1) == 1;
        if (upto(1) == 1) a.association_end = a.last_received;
        const UtcMs now = a.last_received + upto(40'000);
        const auto judged = judge_arrival(a, kRules, now);
        if (judged.complete) {
            CHECK_FALSE(judged.by.empty());
            CHECK_FALSE(judged.detail.empty());
        } else {
            CHECK(judged.look_again > now);
            CHECK(judged.look_again <= a.opened + kRules.longest);
        }
        CHECK(judge_arrival(a, kRules, a.opened + kRules.longest).complete);
    }
}
