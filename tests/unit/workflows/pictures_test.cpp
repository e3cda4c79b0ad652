#include "tests/unit/workflows/loop_fixture.h"

using namespace scopenode;
using test::Loop;
using test::SmallStudy;

TEST_CASE("A job that is cancelled between its report and the pictures leaves the report and no fault") {
    Loop loop;
    const SmallStudy study;
    loop.report_stored = [&] {
        REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "cancel", "1"}));
    };
    loop.restart();
    loop.receive(study, 5, 10);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK_FALSE(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["reasons"].empty());  // nothing failed
    CHECK(shown["files"]["overlays"].empty());
    CHECK(shown["deliveries"].size() == 1);
    CHECK(loop.why(study.study_uid)["jobs"][0]["state"] == "cancelled");
    // A person who changes his mind gets them.
    loop.report_stored = nullptr;
    loop.restart();
    REQUIRE(workflows::run_command(*loop.index, loop.settings, loop.clock, {"jobs", "retry", "1"}));
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["files"]["overlays"].size() >= 1);
    CHECK(loop.results(study.study_uid) == 1);
}
