#include <map>
#include <set>

#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/results/report.h"
#include "workflows/retry.h"

using namespace scopenode;
using test::Loop;
using test::SmallStudy;

TEST_CASE("A study that has gone quiet gets one report and late slices make the second") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 10);
    loop.pass();
    CHECK(loop.show(study.study_uid)["state"] == "receiving");
    CHECK_FALSE(loop.work_once());
    loop.quiet();
    CHECK(loop.show(study.study_uid)["state"] == "waiting");
    CHECK(loop.work_once());
    auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["revision"] == 1);
    CHECK(shown["slices"].size() == 10);
    CHECK(shown["findings"]["any"] == "absent");
    CHECK(shown["demonstration"] == true);
    CHECK(shown["deliveries"].size() == 2);  // the report and a picture of its highest slice
    CHECK(shown["deliveries"][0]["state"] == "waiting");
    CHECK(shown["files"]["overlays"].size() == 1);
    CHECK(shown["files"]["key_objects"].is_null());
    const std::string first_report = shown["files"]["sr"];
    CHECK(std::filesystem::exists(loop.folder.path() / first_report));

    // The report itself is nothing to analyse, and a slice sent again is nothing new.
    loop.receive(study, 3, 1);
    loop.quiet();
    CHECK_FALSE(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "done");
    CHECK(loop.results(study.study_uid) == 1);

    loop.receive(study, 10, 4);
    loop.pass();
    CHECK(loop.show(study.study_uid)["state"] == "receiving");
    loop.quiet();
    CHECK(loop.work_once());
    shown = loop.show(study.study_uid);
    CHECK(shown["revision"] == 2);
    CHECK(shown["findings"]["intraparenchymal"] == "present");
    CHECK(loop.model.slices_seen == 14);  // nothing was computed twice
    const auto why = loop.why(study.study_uid);
    const auto reports = loop.results_of_kind(study.study_uid, "sr");
    REQUIRE(reports.size() == 2);
    CHECK(reports[0]["state"] == "superseded");
    for (const auto& result : why["results"]) CHECK((result["state"] == "done") == (result["revision"] == 2));
    for (const auto& delivery : why["deliveries"]) {
        bool of_first = false;
        for (const auto& result : why["results"])
            of_first |= result["revision"] == 1 && result["sop_instance_uid"] == delivery["sop_instance_uid"];
        CHECK(delivery["state"] == (of_first ? "superseded" : "waiting"));
    }
    CHECK(shown["files"]["key_objects"].is_string());
    CHECK(shown["files"]["overlays"].size() == 2);  // 10 mm apart
    CHECK(why["completed_by"] == "quiet time");
    const auto report = workflows::read_report(loop.folder.path() / shown["files"]["sr"].get<std::string>());
    REQUIRE(report);
    CHECK(report->predecessor_sop_instance_uid == reports[0]["sop_instance_uid"]);
    CHECK(report->evidence.size() == 14);
    CHECK(report->findings[2].presence == workflows::Presence::kPresent);
}

TEST_CASE("Complete by command does not wait and reprocess does not repeat") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 9);
    const auto command = [&](const char* a, const char* b, const std::string& c) {
        return workflows::run_command(*loop.index, loop.settings, loop.clock, {a, b, c});
    };
    REQUIRE(command("studies", "complete", study.study_uid));
    loop.pass();  // one pass judges what was there and settles the study
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["slices"].size() == 9);
    CHECK(loop.why(study.study_uid)["completed_by"] == "command");
    const auto again = command("studies", "reprocess", study.study_uid);
    REQUIRE(again);
    CHECK(again->find("nothing done") != std::string::npos);
    loop.quiet();
    CHECK_FALSE(loop.work_once());
    CHECK(command("studies", "complete", "1.2.3").error().code == Code::kNotFound);
    CHECK(command("jobs", "retry", "x").error().code == Code::kInvalidArgument);
    CHECK(command("jobs", "cancel", "1").error().code == Code::kConflict);
    CHECK(command("studies", "forget", "1.2.3").error().code == Code::kInvalidArgument);
}

TEST_CASE("A series that is too short is not eligible and says why") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 5);
    loop.quiet();
    CHECK_FALSE(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "not_eligible");
    CHECK(shown["findings"]["any"] == "undetermined");
    CHECK(shown["probabilities"].is_null());
    CHECK(shown["reasons"][0]["code"] == "TOO_FEW_SLICES");
    const auto why = loop.why(study.study_uid);
    CHECK(why["series"][0]["left_out"].size() == 5);
    CHECK(workflows::studies_why(*loop.index, study.study_uid, false)->find("TOO_FEW_SLICES") !=
          std::string::npos);
    loop.receive(study, 5, 4);
    loop.quiet();
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "done");
}

TEST_CASE("Slices of another patient under the same UIDs are refused") {
    Loop loop;
    SmallStudy study;
    loop.receive(study, 0, 9);
    SUBCASE("another patient ID makes the series not eligible") {
        study.patient_id = "P2";
        loop.receive(study, 9, 1);
        loop.quiet();
        CHECK_FALSE(loop.work_once());
        const auto shown = loop.show(study.study_uid);
        CHECK(shown["state"] == "not_eligible");
        CHECK(shown["reasons"][0]["code"] == "IDENTITY_MISMATCH");
    }
    SUBCASE("another name stops the job before the report") {
        study.patient_name = "OTHER";
        loop.receive(study, 9, 1);
        loop.quiet();
        CHECK(loop.work_once());
        CHECK(loop.show(study.study_uid)["state"] == "failed");
        const auto why = loop.why(study.study_uid);
        CHECK(why["jobs"][0]["state"] == "failed");
        CHECK(why["jobs"][0]["last_error"].get<std::string>().find("patient's name") != std::string::npos);
    }
    CHECK(loop.why(study.study_uid)["results"].empty());
}

TEST_CASE("A passing fault is tried again later and a restart takes up what was running") {
    Loop loop;
    loop.settings.inference.batch = 4;
    const SmallStudy study;
    loop.receive(study, 0, 10);
    loop.quiet();
    loop.model.failing = true;
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "waiting");
    CHECK_FALSE(loop.work_once());
    loop.clock.time += 6000;
    loop.model.failing = false;
    loop.stopping = true;  // the node stops after the first batch
    CHECK_FALSE(loop.work_once());
    CHECK(loop.model.slices_seen == 4);
    CHECK(loop.show(study.study_uid)["state"] == "processing");
    loop.stopping = false;
    loop.restart();
    loop.clock.time += 3600'000;
    CHECK(loop.work_once());
    CHECK(loop.model.slices_seen == 10);
    CHECK(loop.show(study.study_uid)["state"] == "done");
    CHECK(loop.results(study.study_uid) == 1);
    for (const auto& [failures, whole] : {std::pair{1, 5000}, {3, 20'000}, {30, 600'000}}) {
        const auto pause = workflows::pause_before(failures, 5000, 600'000);
        CHECK(pause <= whole);
        CHECK(pause >= whole * 4 / 5);
    }
}

TEST_CASE("Slices that arrive while their study is worked on are in the next revision") {
    Loop loop;
    const SmallStudy study;
    loop.receive(study, 0, 10);
    loop.quiet();
    loop.receive(study, 10, 2);
    loop.pass();  // judged and receiving again, the job of revision 1 still waits
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "receiving");
    loop.quiet();
    (void)loop.work_once();
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["slices"].size() == 12);
}

TEST_CASE("Results of the demonstration model do not leave the machine unless they may") {
    Loop loop;
    loop.settings.destinations = {{"far", "FAR", "192.0.2.1", 104, false},
                                  {"allowed", "OK", "192.0.2.2", 104, true}};
    const SmallStudy study;
    loop.receive(study, 0, 9);
    loop.quiet();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    REQUIRE(shown["deliveries"].size() == 2);
    for (const auto& delivery : shown["deliveries"]) CHECK(delivery["destination"] == "allowed");
    CHECK(shown["reasons"][0]["code"] == "DEMONSTRATION_NOT_SENT");
}

TEST_CASE("The setting for the RSNA rescale quirk is kept with the result and its scores are its own") {
    Loop loop;
    SmallStudy study;
    study.quirk_raw = 3096;
    loop.receive(study, 0, 10);
    loop.quiet();
    CHECK(loop.work_once());
    auto shown = loop.show(study.study_uid);
    CHECK(shown["findings"]["any"] == "present");
    CHECK(shown["reasons"][0]["code"] == "RESCALE_DOUBTFUL");

    loop.settings.inference.rsna_rescale_quirk = true;
    loop.receive(study, 10, 2);
    loop.quiet();
    CHECK(loop.work_once());
    shown = loop.show(study.study_uid);
    CHECK(shown["revision"] == 2);
    CHECK(shown["findings"]["any"] == "absent");
    CHECK(loop.model.slices_seen == 22);  // none of the scores of values that were read otherwise
    CHECK(shown["reasons"][0]["code"] == "RSNA_RESCALE_QUIRK");
    CHECK(shown["reasons"][0]["text"].get<std::string>().find("12 of 12 slices") != std::string::npos);
    CHECK(loop.why(study.study_uid)["reasons"][0]["code"] == "RSNA_RESCALE_QUIRK");
}

TEST_CASE("A study unlike the training data says so and is undetermined where the site wants it") {
    Loop loop;
    SmallStudy study;
    const auto read = [&](std::optional<double> distance, int begin, int count) {
        loop.model.distance = distance;
        loop.receive(study, begin, count);
        loop.quiet();
        CHECK(loop.work_once());
        return loop.show(study.study_uid);
    };
    // A site that wants to abstain is told when the model cannot say.
    loop.settings.inference.abstain_unlike_training = true;
    study.study_uid = "2.25.6001";
    study.series_uid = "2.25.6002";
    auto shown = read(std::nullopt, 0, 10);
    CHECK(shown["reasons"][0]["code"] == "NO_TRAINING_RANGE");
    CHECK(shown["findings"]["any"] == "absent");
    loop.settings.inference.abstain_unlike_training = false;

    loop.model.know_range(2);
    study.study_uid = "2.25.6003";
    study.series_uid = "2.25.6004";
    shown = read(1.9, 0, 10);
    CHECK(shown["training_distance"]["distance"] == 1.9);
    CHECK(shown["training_distance"]["limit"] == 2);
    CHECK(shown["reasons"].empty());
    CHECK(shown["findings"]["any"] == "absent");
    // The study is where most of its slices are.
    CHECK(read(2.5, 10, 2)["reasons"].empty());

    study.study_uid = "2.25.7001";
    study.series_uid = "2.25.7002";
    shown = read(2.5, 0, 10);
    REQUIRE(shown["reasons"].size() == 1);
    CHECK(shown["reasons"][0]["code"] == "UNLIKE_TRAINING_DATA");
    CHECK(shown["reasons"][0]["text"].get<std::string>().find(
              "Distance 2.50 (1 is usual), the limit is 2.00") != std::string::npos);
    CHECK(shown["findings"]["any"] == "absent");

    loop.settings.inference.abstain_unlike_training = true;
    study.study_uid = "2.25.7003";
    study.series_uid = "2.25.7004";
    shown = read(2.5, 0, 10);
    CHECK(shown["reasons"][0]["code"] == "UNLIKE_TRAINING_DATA");
    for (const auto label : ml::kLabels) CHECK(shown["findings"][std::string(label)] == "undetermined");
    const auto report = workflows::read_report(loop.folder.path() / shown["files"]["sr"].get<std::string>());
    REQUIRE(report);
    CHECK(report->findings[0].presence == workflows::Presence::kUndetermined);

    // Scores from before models had a range say nothing.
    study.study_uid = "2.25.7005";
    study.series_uid = "2.25.7006";
    shown = read(std::nullopt, 0, 10);
    CHECK(shown["reasons"].empty());
    CHECK(shown["findings"]["any"] == "absent");
}

TEST_CASE("What is left out of an eligible series is counted by its reason in report and story") {
    Loop loop;
    loop.model.poison = 30;  // the fourth slice
    const SmallStudy study;
    SmallStudy between = study, larger = study;
    between.slice_mm = 2.5;
    larger.size = 128;
    loop.receive(study, 0, 12);
    loop.receive(between, 18, 1);  // where slice 9 lies
    loop.receive(between, 20, 1);
    loop.receive(larger, 30, 1);
    loop.quiet();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["findings"]["any"] != "undetermined");
    const std::vector<std::pair<std::string, std::string>> wanted{
        {"UNDECODABLE", "1 of 12 slices left out; the first: "},
        {"MIXED_FORMAT", "1 of 15 images of the series left out."},
        {"DUPLICATE_POSITION", "2 of 15 images of the series left out."}};
    const auto report = workflows::read_report(loop.folder.path() / shown["files"]["sr"].get<std::string>());
    REQUIRE(report);
    REQUIRE(report->reasons.size() == wanted.size());
    REQUIRE(shown["reasons"].size() == wanted.size());
    const auto why = workflows::studies_why(*loop.index, study.study_uid, false);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto& [code, text] = wanted[i];
        CHECK(shown["reasons"][i]["code"] == code);
        CHECK(shown["reasons"][i]["text"].get<std::string>().find(text) != std::string::npos);
        CHECK(report->reasons[i].starts_with(code + ": "));
        CHECK(report->reasons[i].find(text) != std::string::npos);
        CHECK(why->find(text) != std::string::npos);
    }
}

TEST_CASE("Each destination gets its own form of the report and only what it wants") {
    Loop loop;
    config::Destination modern{"modern", "A", "127.0.0.1", 104, false}, old = modern, none = modern;
    old.name = "old";
    old.bundle = {"basic_text", false, false, false};
    none.name = "pictures";
    none.bundle = {"none", true, true, true};
    loop.settings.destinations = {modern, old, none};
    const SmallStudy study;
    loop.receive(study, 5, 10);
    loop.quiet();
    CHECK(loop.work_once());
    std::map<std::string, std::string> kinds;
    const auto story = loop.why(study.study_uid);
    for (const auto& result : story["results"]) kinds[result["sop_instance_uid"]] = result["kind"];
    std::map<std::string, std::multiset<std::string>> sent;
    for (const auto& delivery : story["deliveries"])
        sent[delivery["destination"]].insert(kinds.at(delivery["sop_instance_uid"]));
    CHECK(sent["old"] == std::multiset<std::string>{"sr-basic"});
    CHECK(sent["modern"].count("sr") == 1);
    CHECK(sent["modern"].count("sr-basic") == 0);
    CHECK(sent["modern"].count("ko") == 1);
    CHECK(sent["modern"].count("sc-1") == 1);
    CHECK(sent["modern"].count("pr-1") == 0);
    CHECK(sent["pictures"].count("sr") == 0);
    CHECK(sent["pictures"].count("pr-1") == 1);
    CHECK(loop.results_of_kind(study.study_uid, "sr-enhanced").empty());

    // A revision in every form names the earlier one in its own form.
    loop.receive(study, 15, 2);
    loop.quiet();
    CHECK(loop.work_once());
    const auto plain = loop.results_of_kind(study.study_uid, "sr-basic");
    REQUIRE(plain.size() == 2);
    const auto uid = plain[1]["sop_instance_uid"].get<std::string>();
    const auto bytes =
        loop.index->read([&](storage::Connection& db) { return storage::result_bytes(db, uid); });
    REQUIRE(bytes->has_value());
    CHECK((*bytes)->find(plain[0]["sop_instance_uid"].get<std::string>()) != std::string::npos);
}

TEST_CASE("Without memory for a map the report goes and says that pictures are missing") {
    Loop loop;
    loop.model.failing_maps = true;
    const SmallStudy study;
    loop.receive(study, 5, 10);
    loop.quiet();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["files"]["overlays"].empty());
    CHECK(shown["files"]["key_objects"].is_string());
    CHECK(shown["files"]["sr"].is_string());
    REQUIRE(shown["reasons"].size() == 1);
    CHECK(shown["reasons"][0]["code"] == "OVERLAYS_LEFT_OUT");
    CHECK(shown["reasons"][0]["text"].get<std::string>().find("no memory for a map") != std::string::npos);
}

namespace {
struct Crash {};

/// A node that dies between the report and its pictures.
void die_after_report(Loop& loop, const SmallStudy& study) {
    loop.report_stored = [] { throw Crash(); };
    loop.restart();
    loop.receive(study, 5, 10);
    loop.quiet();
    CHECK_THROWS_AS((void)loop.work->turn(loop.stopping), Crash);
    CHECK(loop.results(study.study_uid) == 1);
    CHECK(loop.show(study.study_uid)["deliveries"].size() == 1);
    loop.report_stored = nullptr;
}
}  // namespace

TEST_CASE("A crash between the report and its pictures costs neither and repeats neither") {
    Loop loop;
    const SmallStudy study;
    die_after_report(loop, study);
    loop.restart();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["files"]["overlays"].size() >= 1);
    CHECK(shown["files"]["key_objects"].is_string());
    CHECK(shown["reasons"].empty());
    CHECK(loop.results(study.study_uid) == 1);
    std::set<std::string> sent;
    for (const auto& delivery : shown["deliveries"]) CHECK(sent.insert(delivery["sop_instance_uid"]).second);
    CHECK_FALSE(loop.work_once());
}

TEST_CASE("Pictures that end the program again and again are given up and the report stays") {
    Loop loop;
    const SmallStudy study;
    die_after_report(loop, study);
    for (int i = 0; i < 3; ++i) {
        loop.restart();
        REQUIRE(loop.index->write([&](storage::Connection& db) -> Status {
            SCOPENODE_ASSIGN(const auto job, storage::claim_job(db, loop.clock.time, 1000, "dies"));
            CHECK(job.has_value());
            return {};
        }));
    }
    loop.restart();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["state"] == "done");
    CHECK(shown["files"]["overlays"].empty());
    CHECK(shown["reasons"][0]["code"] == "OVERLAYS_LEFT_OUT");
}

TEST_CASE("However often the program dies at the pictures a reported study has not failed") {
    Loop loop;
    const SmallStudy study;
    die_after_report(loop, study);
    for (int i = 0; i < 8; ++i) {
        REQUIRE(loop.index->write([](storage::Connection& db) { return storage::begin_work(db, {1}); }));
        loop.restart(i < 4);
    }
    CHECK(loop.work_once());
    CHECK(loop.show(study.study_uid)["state"] == "done");
}

TEST_CASE("Pictures of a report whose slices have changed since are not made") {
    Loop loop;
    const SmallStudy study;
    die_after_report(loop, study);
    loop.receive(study, 15, 3);
    loop.pass();
    loop.restart();
    CHECK(loop.work_once());  // revision 1 ends with its report
    CHECK(loop.show(study.study_uid)["files"]["overlays"].empty());
    loop.quiet();
    CHECK(loop.work_once());
    const auto shown = loop.show(study.study_uid);
    CHECK(shown["revision"] == 2);
    CHECK(shown["files"]["overlays"].size() >= 1);
}
