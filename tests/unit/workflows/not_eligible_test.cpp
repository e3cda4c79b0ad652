#include "workflows/not_eligible.h"

#include "tests/support/programs.h"
#include "tests/unit/workflows/peers_fixture.h"
#include "tests/unit/workflows/report_fixture.h"
#include "workflows/results/report.h"

using namespace scopenode;
using namespace scopenode::test;
using storage::Connection;

namespace {

/// A node whose rules want short reports.
struct Short : Loop {
    Short() { settings.reports.not_eligible = true; }
    std::string state(const SmallStudy& study) { return show(study.study_uid)["state"]; }
    std::filesystem::path report_of(const SmallStudy& study) {
        return folder.path() / show(study.study_uid)["files"]["sr"].get<std::string>();
    }
    ReadReport read(const SmallStudy& study) {
        const auto report = read_report(report_of(study));
        REQUIRE_MESSAGE(report, (report ? "" : report.error().message));
        return *report;
    }
    std::filesystem::path file_of(const std::string& uid) {
        const auto row = index->read([&](Connection& db) { return storage::find_instance(db, uid); });
        return archive->absolute((*row)->path);
    }
};

void taken_by_others(const std::filesystem::path& file) {
    const auto verdict = run({"dciodvfy", file.string()});
    CAPTURE(verdict.output);
    CHECK(verdict.rc == 0);
    CHECK(verdict.output.find("Error") == std::string::npos);
    CHECK(run({"dsrdump", file.string()}).rc == 0);
}

}  // namespace

TEST_CASE("A study without an eligible series gets one short report and a full one when slices come") {
    Short loop;
    loop.settings.destinations[0].bundle.presentation_states = true;
    const SmallStudy study;
    loop.receive(study, 0, 5);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK_FALSE(loop.work_once());
    auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "not_eligible");
    CHECK(shown["revision"] == 1);
    for (const auto& finding : shown["findings"]) CHECK(finding == "undetermined");
    CHECK(shown["probabilities"].is_null());
    CHECK(shown["slices"].empty());
    REQUIRE(shown["reasons"].size() == 1);
    CHECK(shown["reasons"][0]["code"] == "TOO_FEW_SLICES");
    REQUIRE(shown["deliveries"].size() == 1);  // no pictures of nothing
    taken_by_others(loop.report_of(study));
    const auto first = loop.read(study);
    REQUIRE(first.findings.size() == ml::kLabelCount);
    for (const auto& finding : first.findings) {
        CHECK(finding.presence == Presence::kUndetermined);
        CHECK_FALSE(finding.probability);
    }
    REQUIRE(first.reasons.size() == 1);
    CHECK(first.reasons[0].starts_with("TOO_FEW_SLICES: Series 2 (AXIAL 5MM): "));
    CHECK(first.evidence == std::vector<std::string>{study.sop_instance_uid(0)});
    CHECK(first.patient_id == "P1");
    CHECK(first.conclusion.find("No series of the study could be analysed.") != std::string::npos);
    const auto why = loop.why(study.study_uid);
    CHECK(why["no_result"]["code"] == "TOO_FEW_SLICES");
    CHECK(why["no_result"]["text"].get<std::string>().find("Revision 1 says so") != std::string::npos);

    Peers peers;
    Delivery delivery(loop.settings, *loop.index, peers.port(), loop.clock);
    REQUIRE(delivery.pass(loop.stopping));
    CHECK(peers.all["pacs"].stored == std::vector<std::string>{first.sop_instance_uid});

    // One more that changes nothing, a restart and a question change nothing.
    loop.receive(study, 5, 1);
    loop.quiet();
    loop.restart();
    CHECK_FALSE(loop.work_once());
    const auto said =
        run_command(*loop.index, loop.settings, loop.clock, {"studies", "reprocess", study.study_uid});
    CHECK(said->find("nothing done: revision 1 says already") != std::string::npos);
    loop.quiet();
    CHECK_FALSE(loop.work_once());
    CHECK(loop.results(study.study_uid) == 1);
    CHECK(loop.state(study) == "not_eligible");

    loop.receive(study, 6, 4);
    loop.quiet();
    CHECK(loop.work_once());
    shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["revision"] == 2);
    CHECK(loop.read(study).predecessor_sop_instance_uid == first.sop_instance_uid);
    const auto reports = loop.results_of_kind(study.study_uid, "sr");
    REQUIRE(reports.size() == 2);
    CHECK(reports[0]["state"] == "superseded");
}

TEST_CASE("A person can have a short report made again and it is not sent before its study is") {
    Short loop;
    const SmallStudy study;
    loop.receive(study, 0, 5);
    loop.quiet();
    loop.receive(study, 5, 1);
    loop.pass();  // more comes before the job begins
    CHECK(loop.work_once());
    CHECK(loop.state(study) == "receiving");
    CHECK(loop.results(study.study_uid) == 0);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(loop.state(study) == "not_eligible");
    REQUIRE(run_command(*loop.index, loop.settings, loop.clock,
                        {"studies", "reprocess", study.study_uid, "--force", "--no-send"}));
    loop.pass();
    CHECK(loop.work_once());
    CHECK(loop.state(study) == "not_eligible");
    CHECK(loop.show(study.study_uid)["revision"] == 2);
    CHECK(loop.show(study.study_uid)["deliveries"].size() == 1);
    CHECK(loop.results(study.study_uid) == 2);

    // A job of the next revision that is cancelled leaves the study as it was.
    loop.receive(study, 6, 4);
    loop.quiet();
    CHECK(loop.state(study) == "waiting");
    const auto jobs = loop.why(study.study_uid)["jobs"];
    REQUIRE(
        run_command(*loop.index, loop.settings, loop.clock, {"jobs", "cancel", jobs.back()["id"].dump()}));
    CHECK(loop.state(study) == "not_eligible");
}

TEST_CASE("A crash after a short report makes no second one and one before it the same") {
    struct Crash {};
    Short loop;
    const SmallStudy study;
    loop.report_stored = [] { throw Crash(); };
    loop.restart();
    loop.receive(study, 0, 5);
    loop.quiet();
    REQUIRE(loop.index->write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto job, storage::claim_job(db, loop.clock.time, 1000, "dies"));
        CHECK(job.has_value());
        return {};
    }));
    loop.restart();
    CHECK_THROWS_AS((void)loop.work->turn(loop.stopping), Crash);
    loop.report_stored = nullptr;
    loop.restart(true);
    CHECK_FALSE(loop.work_once());
    CHECK(loop.state(study) == "not_eligible");
    CHECK(loop.results(study.study_uid) == 1);
    CHECK(loop.show(study.study_uid)["deliveries"].size() == 1);
}

TEST_CASE("No short report is made of another patient or of no image") {
    Short loop;
    SmallStudy study;
    SUBCASE("two patients in one series") {
        loop.receive(study, 0, 3);
        study.patient_id = "P2";
        loop.receive(study, 3, 1);
        loop.quiet();
        CHECK_FALSE(loop.work_once());
        CHECK(loop.state(study) == "not_eligible");
    }
    SUBCASE("the file has become one of another patient") {
        loop.receive(study, 0, 5);
        loop.quiet();
        SmallStudy other;
        other.patient_id = "P2";
        write_bytes(loop.file_of(study.sop_instance_uid(0)), other.slice(0).value());
        CHECK(loop.work_once());
        CHECK(loop.state(study) == "failed");
        CHECK(loop.why(study.study_uid)["remarks"].back()["kind"] == "identity");
    }
    SUBCASE("the file has become another image") {
        loop.receive(study, 0, 5);
        loop.quiet();
        write_bytes(loop.file_of(study.sop_instance_uid(0)), study.slice(7).value());
        CHECK(loop.work_once());
        CHECK(loop.state(study) == "failed");
    }
    SUBCASE("the file cannot be read") {
        loop.receive(study, 0, 5);
        loop.quiet();
        std::filesystem::remove(loop.file_of(study.sop_instance_uid(0)));
        CHECK(loop.work_once());
        CHECK(loop.state(study) == "failed");
    }
    SUBCASE("nothing but a report") {
        auto analysis = sample_analysis(9);
        study.study_uid = analysis.header.study_uid;
        const auto report = encode_report(analysis, sample_context());
        REQUIRE(report);
        auto staged = loop.archive->stage();
        REQUIRE(staged->append(report->bytes));
        REQUIRE(loop.archive->store(
            std::move(*staged),
            {"WS", "127.0.0.1", report->sop_class_uid, report->sop_instance_uid, "1.2.840.10008.1.2.1", ""}));
        loop.quiet();
        CHECK_FALSE(loop.work_once());
        CHECK(loop.state(study) == "not_eligible");
    }
    CHECK(loop.results(study.study_uid) == 0);
}

TEST_CASE("A report of slices that were eligible once is not replaced by a short one") {
    Short loop;
    SmallStudy study;
    loop.receive(study, 0, 9);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(loop.state(study) == "done");
    study.patient_id = "P2";
    loop.receive(study, 9, 1);
    loop.quiet();
    CHECK_FALSE(loop.work_once());
    CHECK(loop.state(study) == "done");
    CHECK(loop.results(study.study_uid) == 1);
}

TEST_CASE("A study whose only series is refused by its pixels gets a short report that says so") {
    Short loop;
    loop.settings.intake.pixel_gate = true;
    loop.settings.destinations[0].bundle.sr = "basic_text";
    const SmallStudy plastic;
    loop.receive(plastic, 0, 12);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(loop.results(plastic.study_uid) == 0);
    loop.pass();
    CHECK(loop.work_once());
    CHECK_FALSE(loop.work_once());
    CHECK(loop.state(plastic) == "not_eligible");
    CHECK(loop.read(plastic).reasons[0].starts_with("ALMOST_EMPTY"));
    const auto plain = loop.results_of_kind(plastic.study_uid, "sr-basic");
    REQUIRE(plain.size() == 1);
    const auto uid = plain[0]["sop_instance_uid"].get<std::string>();
    taken_by_others(loop.file_of(uid));
    CHECK(loop.show(plastic.study_uid)["deliveries"][0]["sop_instance_uid"] == uid);
}

TEST_CASE("A short report names the series that came nearest first and thirty at most") {
    Short loop;
    SmallStudy study;
    for (int i = 0; i < 33; ++i) {
        study.series_uid = "2.25.40" + std::to_string(i);
        study.series_number = std::to_string(i);
        study.series_description = i == 7 ? "AXIAL" : "CHEST";
        loop.receive(study, 0, 1);
    }
    loop.quiet();
    CHECK(loop.work_once());
    const auto report = loop.read(study);
    REQUIRE(report.reasons.size() == 30);
    CHECK(report.reasons[0].starts_with("TOO_FEW_SLICES: Series 7 (AXIAL)"));
    CHECK(report.reasons[1].starts_with("NOT_HEAD"));
    CHECK(report.reasons[29].ends_with("So it is with 3 more series."));
    CHECK(report.evidence == std::vector<std::string>{"2.25.407.1"});
}
