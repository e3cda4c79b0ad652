#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/fallback_model.h"

using namespace scopenode;
using test::FakeModel;
using test::Loop;
using test::SmallStudy;

namespace {

SmallStudy numbered(int n) {
    SmallStudy study;
    study.study_uid = "2.25.4" + std::to_string(n);
    study.series_uid = "2.25.5" + std::to_string(n);
    return study;
}

bool score_once(Loop& loop) {
    const auto did = loop.scorer->turn();
    REQUIRE_MESSAGE(did, (did ? "" : did.error().message));
    return *did;
}

std::vector<std::int64_t> wanted(Loop& loop) {
    std::vector<std::int64_t> studies;
    const auto rows =
        loop.index->read([](storage::Connection& db) { return storage::wanted_slices(db, 100); });
    for (const auto& row : rows.value()) studies.push_back(row.study_id);
    return studies;
}

}  // namespace

TEST_CASE("Slices are scored while their study arrives and the report needs no more of them") {
    Loop loop;
    loop.settings.inference.batch = 4;
    const SmallStudy study;
    loop.receive(study, 0, 6);  // too few so far: they may become a series
    loop.pass();
    CHECK(wanted(loop).size() == 6);
    CHECK(score_once(loop));
    CHECK(loop.model.slices_seen == 4);
    loop.receive(study, 6, 4);
    loop.pass();
    while (score_once(loop)) continue;
    CHECK(loop.model.slices_seen == 10);
    CHECK(loop.show(study.study_uid)["state"] == "receiving");
    loop.model.failing = true;  // the report has all it needs
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "done");
    CHECK(loop.show(study.study_uid)["slices"].size() == 10);
    CHECK(wanted(loop).empty());
}

TEST_CASE("Slices of a STAT study are scored before those that came earlier") {
    Loop loop;
    loop.settings.intake.stat_descriptions = {"stroke"};
    loop.settings.inference.batch = 4;
    for (int n = 1; n <= 3; ++n) loop.receive(numbered(n), 0, 8);
    loop.pass();
    loop.clock.time += 100;
    const auto late = numbered(4);
    loop.receive(late, 0, 8);
    loop.pass();
    CHECK(wanted(loop).front() == 1);
    const auto made =
        workflows::run_command(*loop.index, loop.settings, loop.clock, {"studies", "stat", late.study_uid});
    REQUIRE(made);
    CHECK(wanted(loop).front() == 4);
    CHECK(score_once(loop));
    CHECK(score_once(loop));
    CHECK(wanted(loop).front() == 1);
    CHECK(loop.why(late.study_uid)["priority"] == "STAT");
    CHECK(loop.why(late.study_uid)["priority_by"] == "a person");
    CHECK(workflows::run_command(*loop.index, loop.settings, loop.clock, {"studies", "stat", "1.2"})
              .error()
              .code == Code::kNotFound);
}

TEST_CASE("A slice on which the model fails is left out alone and said so") {
    Loop loop;
    loop.model.poison = 30;  // the fourth slice
    const SmallStudy study;
    loop.receive(study, 0, 10);
    loop.pass();
    while (score_once(loop)) continue;
    CHECK(loop.model.slices_seen == 9);
    CHECK_FALSE(loop.scorer->resting());
    loop.quiet();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["slices"].size() == 9);
    CHECK(shown["reasons"][0]["code"] == "UNDECODABLE");
    CHECK(shown["reasons"][0]["text"].get<std::string>().find("a poisonous slice") != std::string::npos);
}

TEST_CASE("Want of memory makes the scorer rest and the study wait until it has passed") {
    Loop loop;
    loop.model.failing = true;
    const SmallStudy study;
    loop.receive(study, 0, 10);
    loop.pass();
    CHECK(loop.scorer->turn().error().code == Code::kOutOfResources);
    CHECK(loop.scorer->resting());
    CHECK_FALSE(score_once(loop));  // not at once again
    loop.quiet();
    for (int attempt = 1; attempt <= 12; ++attempt) {  // it is never given up for that
        CHECK(loop.work_once());
        CHECK(loop.show(study.study_uid)["state"] == "waiting");
        loop.clock.time += 800'000;
    }
    loop.model.failing = false;
    CHECK(score_once(loop));
    CHECK_FALSE(loop.scorer->resting());
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "done");
}

TEST_CASE("A stored file that cannot be read holds up no other slice") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.pass();
    const auto row = loop.index->read(
        [&](storage::Connection& db) { return storage::find_instance(db, study.sop_instance_uid(0)); });
    const auto file = loop.archive->absolute((*row)->path);
    std::filesystem::rename(file, file.string() + ".away");
    while (score_once(loop)) continue;
    CHECK(loop.model.slices_seen == 8);
    loop.quiet();
    CHECK(loop.work_once());
    // Its header is read for the report: a file that is gone ends the job until a person has put it back.
    CHECK(loop.show(study.study_uid)["state"] == "failed");
    CHECK(loop.why(study.study_uid)["jobs"][0]["state"] == "failed");
    std::filesystem::rename(file.string() + ".away", file);
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "retry", "1"}));
    loop.clock.time += 60'000;
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["slices"].size() == 9);
}

TEST_CASE("A study that crashes the program twice becomes a dead letter and harms no other") {
    Loop loop;
    const auto bad = numbered(1), good = numbered(2);
    loop.receive(bad, 0, 9);
    loop.receive(good, 0, 9);
    loop.pass();
    const auto die_at_work = [&](const std::vector<std::int64_t>& studies) {
        REQUIRE(loop.index->write([&](storage::Connection& db) { return storage::begin_work(db, studies); }));
        loop.restart(true);
    };
    die_at_work({1, 2});
    // Under suspicion each is worked on alone.
    const auto first = wanted(loop);
    CHECK(first == std::vector<std::int64_t>(9, first.front()));
    die_at_work({1});
    CHECK(wanted(loop) == std::vector<std::int64_t>(9, 2));
    loop.quiet();
    while (loop.work_once()) continue;
    CHECK(loop.show(good.study_uid)["state"] == "done");
    CHECK(loop.show(bad.study_uid)["state"] == "failed");
    auto why = loop.why(bad.study_uid);
    CHECK(why["jobs"][0]["state"] == "failed");
    CHECK(why["jobs"][0]["last_error"].get<std::string>().find("ended the program 2 times") !=
          std::string::npos);
    // A person may try again.
    const auto id = std::to_string(why["jobs"][0]["id"].get<int>());
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "retry", id}));
    CHECK(loop.work_once());
    CHECK(loop.show(bad.study_uid)["state"] == "done");
}

TEST_CASE("Kills from outside are no reason to give a study up as long as work goes on") {
    Loop loop;
    loop.settings.inference.batch = 1;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.pass();
    for (int i = 0; i < 9; ++i) {
        CHECK(score_once(loop));
        REQUIRE(loop.index->write([&](storage::Connection& db) { return storage::begin_work(db, {1}); }));
        loop.restart();
    }
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "done");
}

TEST_CASE("A model without memory goes on with less at once and then on the CPU") {
    FakeModel device, cpu;
    device.most = 3;
    int loads = 0;
    const std::shared_ptr<const ml::Model> on_device(&device, [](const ml::Model*) {});
    const workflows::FallbackModel model(on_device, [&]() -> Result<std::shared_ptr<const ml::Model>> {
        ++loads;
        return std::shared_ptr<const ml::Model>(&cpu, [](const ml::Model*) {});
    });
    HuImage image;
    image.width = image.height = 64;
    image.hu.assign(64 * 64, 200.0F);
    std::vector<HuImage> eight(8, image);
    const auto scores = model.infer(eight);
    REQUIRE(scores);
    CHECK(scores->size() == 8);
    CHECK(device.slices_seen == 8);
    CHECK(loads == 0);
    device.most = 0;
    REQUIRE(model.infer(eight));
    CHECK(cpu.slices_seen == 8);
    CHECK(loads == 1);
    CHECK(model.fallen_back() == 8);
    cpu.failing = true;
    CHECK(model.infer(eight).error().code == Code::kOutOfResources);
    device.most = 1000;
    CHECK(model.infer(eight)->size() == 8);

    const workflows::FallbackModel alone(on_device, {});
    device.failing = true;
    CHECK(alone.infer(eight).error().message.find("has no memory for a single slice") != std::string::npos);
}
