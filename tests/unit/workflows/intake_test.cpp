#include "storage/index/models.h"
#include "tests/unit/workflows/loop_fixture.h"

using namespace scopenode;
using test::Loop;
using test::SmallStudy;

namespace {

std::string state_of(Loop& loop, const SmallStudy& study) {
    return loop.show(study.study_uid)["state"];
}

}  // namespace

TEST_CASE("The evidence that completed a study is stored and shown") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.quiet();
    const auto why = loop.why(study.study_uid);
    REQUIRE(why["evidence"].size() == 1);
    CHECK(why["evidence"][0]["kind"] == "quiet time");
    CHECK(why["evidence"][0]["decided"] == true);
    CHECK(why["completed_by"] == "quiet time");
    CHECK(workflows::studies_why(*loop.index, study.study_uid, false)->find("nothing new for") !=
          std::string::npos);
}

TEST_CASE("The quiet time goes on where it was after a restart") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.pass();
    loop.clock.time += 6000;
    loop.restart();
    loop.pass();
    CHECK(state_of(loop, study) == "receiving");
    loop.clock.time += 4001;
    loop.pass();
    CHECK(state_of(loop, study) == "waiting");
}

TEST_CASE("A clock that is set back or forth changes no wait") {
    for (const UtcMs jump : {-3'600'000, 3'600'000}) {
        INFO("clock set by ", jump);
        Loop loop;
        const SmallStudy study;
        loop.receive(study, 0, 9);
        loop.pass();
        loop.clock.time += 5000 + jump;
        loop.clock.set_by += jump;
        loop.pass();
        CHECK(state_of(loop, study) == "receiving");
        loop.clock.time += 4000;
        loop.pass();
        CHECK(state_of(loop, study) == "receiving");
        loop.clock.time += 1001;
        loop.pass();
        CHECK(state_of(loop, study) == "waiting");
        CHECK(loop.work_once());
        CHECK(state_of(loop, study) == "done");
    }
}

TEST_CASE("A clock that was set back while the node was down costs one quiet time") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.pass();
    loop.clock.time -= 3'600'000;
    loop.restart();
    loop.pass();
    loop.clock.time += 10'001;
    loop.pass();
    CHECK(state_of(loop, study) == "waiting");
    CHECK(loop.work_once());
    CHECK(state_of(loop, study) == "done");
}

TEST_CASE("A study that keeps arriving is complete at the hard limit") {
    Loop loop;
    loop.settings.intake.longest_wait_seconds = 30;
    const SmallStudy study;
    for (int i = 0; i < 10; ++i) {
        loop.receive(study, i, 1);
        loop.pass();
        loop.clock.time += 3100;
    }
    loop.pass();
    CHECK(state_of(loop, study) == "waiting");
    CHECK(loop.why(study.study_uid)["completed_by"] == "hard limit");
}

TEST_CASE("Each sender may have a quiet time of its own and urgent studies are known by their sender") {
    Loop loop;
    loop.settings.intake.quiet_seconds_by_ae["CT"] = 100;
    loop.settings.intake.stat_callers = {"CT"};
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.pass();
    loop.clock.time += 99'000;
    loop.pass();
    CHECK(state_of(loop, study) == "receiving");
    loop.clock.time += 1001;
    loop.pass();
    CHECK(state_of(loop, study) == "waiting");
    CHECK(loop.why(study.study_uid)["priority"] == "STAT");
    CHECK(loop.why(study.study_uid)["priority_by"] == "sent by CT");
}

TEST_CASE("A study is done again under other rules or when a person insists and not sent when he says so") {
    Loop loop;
    loop.settings.destinations[0].bundle = {"comprehensive3d", false, false, false};
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.quiet();
    CHECK(loop.work_once());
    const auto reprocess = [&](std::vector<std::string> options) {
        std::vector<std::string> words{"studies", "reprocess", study.study_uid};
        words.insert(words.end(), options.begin(), options.end());
        return workflows::run_command(*loop.index, loop.settings, loop.clock, words);
    };
    CHECK(reprocess({})->find("nothing done") != std::string::npos);
    CHECK(reprocess({"--model", "beef"}).error().code == Code::kNotFound);
    CHECK(reprocess({"--loudly"}).error().code == Code::kInvalidArgument);

    REQUIRE(reprocess({"--force", "--no-send"}));
    loop.pass();
    CHECK(loop.work_once());
    auto shown = loop.show(study.study_uid);
    CHECK(shown["revision"] == 2);
    CHECK(shown["deliveries"].size() == 1);  // only that of revision 1
    CHECK(loop.model.slices_seen == 9);
    loop.quiet();
    CHECK_FALSE(loop.work_once());  // once is enough

    loop.settings.revision = "other";
    REQUIRE(reprocess({}));
    loop.pass();
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["revision"] == 3);
    CHECK(loop.show(study.study_uid)["deliveries"].size() == 2);
}

TEST_CASE("A job that runs can be cancelled by a person and asked for again") {
    Loop loop;
    loop.settings.inference.batch = 2;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.quiet();
    int batches = 0;
    loop.model.before = [&] {
        if (++batches == 2)
            REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "cancel", "1"}));
    };
    CHECK(loop.work_once());
    CHECK(loop.model.slices_seen == 4);  // the batch that ran, and no other
    CHECK(state_of(loop, study) == "failed");
    CHECK(loop.why(study.study_uid)["jobs"][0]["state"] == "cancelled");
    CHECK(loop.results(study.study_uid) == 0);
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock,
                                   {"studies", "reprocess", study.study_uid}));
    CHECK(loop.work_once());
    CHECK(state_of(loop, study) == "done");
    CHECK(loop.model.slices_seen == 9);
}

TEST_CASE("A series that is no head by its pixels gets no report and the next one is taken") {
    Loop loop;
    loop.settings.intake.pixel_gate = true;
    SmallStudy plastic, head;
    head.is_head = true;
    head.series_uid = "2.25.1009";
    head.series_number = "3";
    head.slice_mm = 4;  // the other one is preferred
    loop.receive(plastic, 0, 12);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK_FALSE(loop.work_once());
    loop.pass();
    CHECK(state_of(loop, plastic) == "not_eligible");
    auto shown = loop.show(plastic.study_uid);
    CHECK(shown["reasons"][0]["code"] == "ALMOST_EMPTY");  // 64 pixels of 0.5 mm
    CHECK(loop.results(plastic.study_uid) == 0);

    loop.receive(head, 0, 12);
    loop.quiet();
    CHECK(loop.work_once());  // the plastic again, for more of it might have come
    loop.pass();
    CHECK(loop.work_once());
    shown = loop.show(plastic.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["series_uid"] == head.series_uid);
    CHECK(loop.model.slices_seen == 24);  // nothing twice
    CHECK(loop.why(plastic.study_uid)["completed_by"] == "pixels");
}

TEST_CASE("Why there is no result is said first in every state") {
    Loop loop;
    const SmallStudy study;
    const auto because = [&] { return loop.why(study.study_uid)["no_result"]; };
    const auto words = [&] { return *workflows::studies_why(*loop.index, study.study_uid, false); };
    loop.receive(study, 0, 5);
    loop.pass();
    CHECK(because()["code"] == "RECEIVING");
    CHECK(words().starts_with("no result: RECEIVING"));
    loop.quiet();
    CHECK(because()["code"] == "TOO_FEW_SLICES");
    loop.receive(study, 5, 5);
    loop.quiet();
    CHECK(because()["code"] == "WAITING");
    loop.model.failing = true;
    CHECK(loop.work_once());
    CHECK(because()["code"] == "TRIED_AGAIN");
    CHECK(because()["text"].get<std::string>().find("no memory") != std::string::npos);
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "cancel", "1"}));
    CHECK(because()["code"] == "CANCELLED");
    loop.model.failing = false;
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "retry", "1"}));
    CHECK(loop.work_once());
    CHECK(because().is_null());
    CHECK(words().starts_with("study "));
    const auto instance = workflows::studies_why(*loop.index, study.sop_instance_uid(3), false);
    REQUIRE(instance);
    CHECK(instance->find("received") != std::string::npos);
    CHECK(instance->find("eligible") != std::string::npos);
}

TEST_CASE("A part of a stack that is no head by its pixels is no reason against all of it") {
    Loop loop;
    loop.settings.intake.pixel_gate = true;
    SmallStudy head;
    head.is_head = true;
    loop.receive(head, 13, 8);  // too bright for brain
    loop.quiet();
    loop.receive(head, 12, 1);
    loop.pass();  // more arrives before the job of the first slices begins
    CHECK(loop.work_once());
    CHECK(state_of(loop, head) == "receiving");
    CHECK(loop.why(head.study_uid)["series"][0]["eligible"] == true);
    loop.quiet();
    CHECK(loop.work_once());
    loop.pass();
    CHECK(state_of(loop, head) == "not_eligible");
    loop.receive(head, 0, 12);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(state_of(loop, head) == "done");
    CHECK(loop.show(head.study_uid)["slices"].size() == 21);
    CHECK(loop.model.slices_seen == 21);
}

TEST_CASE(
    "More slices make the pixels of a refused series looked at again although they complete it at once") {
    Loop loop;
    loop.settings.intake.pixel_gate = true;
    SmallStudy head;
    head.is_head = true;
    loop.receive(head, 13, 8);
    loop.quiet();
    CHECK(loop.work_once());
    loop.pass();
    CHECK(state_of(loop, head) == "not_eligible");
    CHECK(loop.why(head.study_uid)["no_result"]["code"] == "HU_IMPLAUSIBLE");
    loop.receive(head, 0, 13);
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock,
                                   {"studies", "complete", head.study_uid}));
    loop.pass();  // arrival and completion in one pass
    CHECK(loop.work_once());
    CHECK(state_of(loop, head) == "done");
}

TEST_CASE("A wish for another model is heard although the last job failed") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.quiet();
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "cancel", "1"}));
    test::FakeModel other;
    loop.other_model = [&](const std::string& id) -> Result<std::shared_ptr<const ml::Model>> {
        CHECK(id == "beef");
        return std::shared_ptr<const ml::Model>(&other, [](const ml::Model*) {});
    };
    loop.restart();
    REQUIRE(loop.index->write([](storage::Connection& db) {
        return storage::add_model(db, {"beef", std::string(64, 'b'), "Other", "models/beef", 1, false});
    }));
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock,
                                   {"studies", "reprocess", study.study_uid, "--model", "beef"}));
    loop.pass();
    CHECK(loop.work_once());
    CHECK(state_of(loop, study) == "done");
    CHECK(other.slices_seen == 9);
    CHECK(loop.model.slices_seen == 0);
}
