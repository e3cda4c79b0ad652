#include "workflows/training/snapshot.h"

#include <random>

#include "base/core/ids.h"
#include "ml/manifest.h"
#include "storage/index/labels.h"
#include "storage/index/models.h"
#include "storage/index/trainings.h"
#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/slice_scorer.h"
#include "workflows/training/retraining.h"
#include "workflows/training/snapshot_dataset.h"

using namespace scopenode;
using namespace scopenode::workflows;
using test::Loop;
using test::SmallStudy;

namespace {

/// Studies of one patient each, with slices of their own brightness, all labelled.
struct Labelled : Loop {
    std::vector<SmallStudy> studies;

    explicit Labelled(int count) {
        for (int i = 0; i < count; ++i) add(i, fmt::format("P{}", i), i % 2 == 0);
    }
    SmallStudy& add(int number, const std::string& patient, bool bleeds) {
        SmallStudy study;
        study.study_uid = fmt::format("2.25.7000{}", number);
        study.series_uid = study.study_uid + ".1";
        study.patient_id = patient;
        study.grey = 20 + number;
        studies.push_back(study);
        receive(study, 0, 12);
        quiet();
        label(study.study_uid, bleeds);
        return studies.back();
    }
    void label(const std::string& uid, bool bleeds) {
        REQUIRE(index->write([&](storage::Connection& db) -> Status {
            storage::LabelRow row;
            row.study_uid = uid;
            row.finding = "any";
            row.value = bleeds;
            row.source = "csv";
            row.reader = "A";
            row.added = ++labelled_at;
            SCOPENODE_ASSIGN([[maybe_unused]] const auto change, storage::put_label(db, row));
            return {};
        }));
    }
    UtcMs labelled_at = 1;
    Snapshot plan() {
        const SnapshotParts parts{settings.training, "champion", "none", false, false, {}};
        auto planned = index->read([&](storage::Connection& db) { return plan_snapshot(db, parts); });
        REQUIRE_MESSAGE(planned, (planned ? "" : planned.error().message));
        return *planned;
    }
    Snapshot complete() {
        Snapshot snapshot = plan();
        REQUIRE(complete_snapshot(snapshot, [&](const std::string& path) { return folder.path() / path; }));
        return snapshot;
    }
    std::filesystem::path keep(const Snapshot& snapshot) {
        const std::string text = snapshot_json(snapshot);
        const auto file = folder.path() / (sha256_hex(text).substr(0, 16) + ".json");
        REQUIRE(write_file(real_files(), file, text));
        return file;
    }
};

}  // namespace

TEST_CASE("a patient is on one side whatever the settings and the other patients are") {
    std::mt19937 random(7);
    config::Settings::Training training;
    int held_out = 0, judge = 0;
    for (int i = 0; i < 4000; ++i) {
        const std::string patient = patient_hash(fmt::format("P{}", random()), "SITE", "");
        const Use use = side_by_hash(patient, training);
        CHECK(use == side_by_hash(patient, training));
        held_out += use == Use::kHeldOut;
        judge += use == Use::kJudge;
    }
    CHECK(held_out / 4000.0 == doctest::Approx(0.4).epsilon(0.1));
    CHECK(judge / 2400.0 == doctest::Approx(0.2).epsilon(0.2));
    // An empty ID is one patient per study; the issuer tells patients apart.
    CHECK(patient_hash("", "", "1.2") != patient_hash("", "", "1.3"));
    CHECK(patient_hash("7", "A", "1.2") == patient_hash("7", "A", "1.3"));
    CHECK(patient_hash("7", "A", "1.2") != patient_hash("7", "B", "1.2"));
}

TEST_CASE("no patient is ever learnt from and judged on through rounds with changing settings and labels") {
    Labelled node(8);
    std::mt19937 random(11);
    std::map<std::string, std::set<std::string>> sides;
    for (int round = 0; round < 12; ++round) {
        node.settings.training.held_out_share = 0.1 + 0.05 * double(random() % 13);
        node.settings.training.judge_share = 0.05 + 0.05 * double(random() % 8);
        const int number = 100 + round;
        node.add(number, fmt::format("P{}", random() % 12), random() % 2 == 0);  // old patients come again
        const Snapshot snapshot = node.plan();
        REQUIRE(node.index->write([&](storage::Connection& db) -> Status {
            for (const auto& study : snapshot.studies)
                SCOPENODE_TRY(storage::keep_side(
                    db, study.patient,
                    std::string(word(study.use == Use::kGolden ? Use::kHeldOut : study.use))));
            if (round == 5)
                for (const auto& study : snapshot.studies)
                    if (study.use == Use::kHeldOut)
                        SCOPENODE_TRY(storage::seal_golden(db, study.study_uid, "test", 1));
            return {};
        }));
        for (const auto& study : snapshot.studies)
            sides[study.patient].insert(study.use == Use::kLearn   ? "learn"
                                        : study.use == Use::kJudge ? "judge"
                                                                   : "held");
    }
    CHECK(sides.size() >= 8);
    for (const auto& [patient, seen] : sides) CHECK(seen.size() == 1);
}

TEST_CASE("what may be learnt from holds nothing that is held out") {
    Labelled node(12);
    const Snapshot snapshot = node.complete();
    REQUIRE(snapshot.studies.size() == 12);
    const auto set = SnapshotDataset::open(node.keep(snapshot), node.folder.path());
    REQUIRE_MESSAGE(set, (set ? "" : set.error().message));
    std::set<std::string> held, learnt;
    for (const auto& study : snapshot.studies)
        (study.use == Use::kLearn || study.use == Use::kJudge ? learnt : held).insert(study.patient);
    REQUIRE(!held.empty());
    REQUIRE(!learnt.empty());
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
        const auto slice = (*set)->load(i);
        REQUIRE_MESSAGE(slice, (slice ? "" : slice.error().message));
        CHECK(learnt.count(slice->patient) == 1);
        CHECK(held.count(slice->patient) == 0);
        CHECK(slice->part.has_value());
    }
}

TEST_CASE("the same data are the same snapshot and another label is another one") {
    Labelled node(6);
    const Snapshot first = node.complete();
    CHECK(snapshot_json(first) == snapshot_json(node.complete()));
    const auto read = read_snapshot(node.keep(first));
    REQUIRE(read);
    CHECK(snapshot_json(*read) == snapshot_json(first));
    CHECK(count_classes(first).size() == 4);
    node.label(node.studies[0].study_uid, false);
    CHECK(snapshot_json(first) != snapshot_json(node.complete()));
}

TEST_CASE("a damaged or foreign snapshot is refused by name") {
    Labelled node(4);
    const auto file = node.keep(node.complete());
    auto text = read_file(file).value();
    text.back() = ' ';
    REQUIRE(write_file(real_files(), file, text));
    const auto damaged = SnapshotDataset::open(file, node.folder.path());
    REQUIRE(!damaged);
    CHECK(damaged.error().code == Code::kDamagedModel);
    CHECK(damaged.error().message.find(file.string()) != std::string::npos);
    const std::string whole = snapshot_json(node.complete());
    auto other = nlohmann::json::parse(whole);
    other["version"] = 2;
    CHECK(parse_snapshot(other.dump(), "x").error().message.find("version 2") != std::string::npos);
    for (const char* key : {"studies", "champion", "golden_phantoms"}) {
        other = nlohmann::json::parse(whole);
        other.erase(key);
        CHECK(!parse_snapshot(other.dump(), "x"));
    }
    CHECK(!parse_snapshot("{", "x"));
}

TEST_CASE("a slice that is not the one of the snapshot is not learnt from") {
    Labelled node(4);
    const Snapshot snapshot = node.complete();
    const auto& slice = snapshot.studies[0].slices[0];
    CHECK(read_slice(snapshot, slice, node.folder.path()));
    REQUIRE(std::filesystem::remove(node.folder.path() / slice.path));
    REQUIRE(write_file(real_files(), node.folder.path() / slice.path, "other bytes"));
    const auto refused = read_slice(snapshot, slice, node.folder.path());
    REQUIRE(!refused);
    CHECK(refused.error().message.find("sha256 differs") != std::string::npos);
    const Snapshot again = node.complete();
    CHECK(again.studies.size() == 3);
    CHECK(again.left_out.size() == 1);
}

TEST_CASE("the same pixels under another study are found") {
    Labelled node(3);
    SmallStudy copy = node.studies[0];
    copy.study_uid = "2.25.79999";
    copy.series_uid = "2.25.79999.1";
    copy.patient_id = "SOMEBODY ELSE";
    node.receive(copy, 0, 12);
    node.quiet();
    node.label(copy.study_uid, true);
    const Snapshot snapshot = node.complete();
    CHECK(snapshot.studies.size() == 3);
    REQUIRE(snapshot.left_out.size() == 1);
    CHECK(snapshot.left_out[0].find("the same pixels") != std::string::npos);
}

TEST_CASE("a study's label finds its slices by what the champion scored") {
    Labelled node(1);
    const std::string uid = node.studies[0].study_uid;
    REQUIRE(node.work_once());
    const SnapshotParts parts{
        node.settings.training, "c", score_key(node.model, node.settings), false, false, {}};
    const auto snapshot = node.index->read([&](storage::Connection& db) { return plan_snapshot(db, parts); });
    REQUIRE(snapshot);
    REQUIRE(snapshot->studies.size() == 1);
    int witnesses = 0, unknown = 0;
    for (const auto& slice : snapshot->studies[0].slices) {
        witnesses += slice.labels[0].value_or(false) && slice.weight == 0.5;
        unknown += !slice.labels[0].has_value();
    }
    CHECK(witnesses == 2);
    CHECK(unknown == 10);
    // A slice that a reader called free of it is never taken for one that shows it.
    std::string denied;
    for (const auto& slice : snapshot->studies[0].slices)
        if (slice.labels[0].value_or(false)) denied = slice.sop_instance_uid;
    REQUIRE(node.index->write([&](storage::Connection& db) -> Status {
        storage::LabelRow row;
        row.sop_instance_uid = denied;
        row.finding = "any";
        row.source = "csv";
        row.reader = "A";
        SCOPENODE_ASSIGN([[maybe_unused]] const auto change, storage::put_label(db, row));
        return {};
    }));
    const auto again = node.index->read([&](storage::Connection& db) { return plan_snapshot(db, parts); });
    REQUIRE(again);
    for (const auto& slice : again->studies.at(0).slices)
        if (slice.sop_instance_uid == denied) CHECK(slice.labels[0] == false);
}

TEST_CASE("key objects tell where a study's label is seen and label nothing themselves") {
    Labelled node(2);  // the first bleeds, the second does not
    while (node.work_once()) {
    }
    const SnapshotParts parts{
        node.settings.training, "c", score_key(node.model, node.settings), false, false, {}};
    const auto slices_of = [&](const std::string& study_uid) {
        const auto snapshot =
            node.index->read([&](storage::Connection& db) { return plan_snapshot(db, parts); });
        REQUIRE(snapshot);
        for (const auto& study : snapshot->studies)
            if (study.study_uid == study_uid) return study.slices;
        return std::vector<SnapshotSlice>();
    };
    const std::string bleeds = node.studies[0].study_uid, clear = node.studies[1].study_uid;
    const auto before = slices_of(bleeds);
    std::vector<std::string> others;  // those that the champion would not choose
    for (const auto& slice : before)
        if (!slice.labels[0]) others.push_back(slice.sop_instance_uid);
    const auto mark = [&](const std::string& sop, const std::string& study, const std::string& caller) {
        REQUIRE(node.index->write([&](storage::Connection& db) {
            return storage::put_key_mark(db, {sop, study, "2.25.99", caller, 1});
        }));
    };
    mark(others[3], bleeds, "WORKSTATION");
    mark(slices_of(clear)[0].sop_instance_uid, clear, "WORKSTATION");
    int witnesses = 0;
    for (const auto& slice : slices_of(bleeds)) {
        witnesses += slice.labels[0].value_or(false);
        CHECK((slice.sop_instance_uid == others[3]) == slice.labels[0].value_or(false));
    }
    CHECK(witnesses == 1);
    for (const auto& slice : slices_of(clear)) CHECK(slice.labels[0] == false);
    // Of a caller that may not label, a mark is no hint either.
    node.settings.training.label_callers = {"OTHER"};
    const auto again = slices_of(bleeds);
    for (std::size_t i = 0; i < again.size(); ++i) CHECK(again[i].labels == before[i].labels);
}

TEST_CASE("new labels or time start a job by themselves and never a second one beside it") {
    constexpr UtcMs kDay = 24LL * 60 * 60 * 1000;
    Labelled node(20);
    const std::string demo = std::string(SCOPENODE_SOURCE_DIR) + "/config/models/demo";
    const auto files = ml::read_model_folder(demo).value();
    REQUIRE(ml::write_model_folder(node.folder.path() / "models/demo", files));
    REQUIRE(node.index->write([&](storage::Connection& db) {
        return storage::add_model(db, {files.id(), files.manifest_sha256(), "demo", "models/demo", 1, true});
    }));
    auto& rules = node.settings.training;
    rules.fewest_studies = 2;
    rules.held_out_share = 0.2;
    UtcMs now = 1'800'000'000'000;
    const auto jobs_after_rule = [&] {
        REQUIRE(node.index->write([&](storage::Connection& db) {
            return start_by_rule(db, node.settings, node.folder.path(), now);
        }));
        return node.index->read(storage::list_trainings).value();
    };
    const auto end_all = [&] {
        const auto all = node.index->read(storage::list_trainings).value();
        for (const auto& job : all)
            if (job.state == "queued")
                REQUIRE(node.index->write(
                    [&](storage::Connection& db) { return storage::cancel_training(db, job.id, now); }));
    };
    CHECK(jobs_after_rule().empty());  // no rule
    rules.start_after_labels = 21;
    CHECK(jobs_after_rule().empty());
    rules.start_after_labels = 20;
    auto jobs = jobs_after_rule();
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].requested_by == "rule");
    CHECK(jobs[0].options.find("20 studies labelled since the last job") != std::string::npos);
    node.labelled_at = now + 1;
    node.add(30, "P30", true);
    rules.start_after_labels = 1;
    CHECK(jobs_after_rule().size() == 1);  // one is queued
    end_all();
    now += 10;
    CHECK(jobs_after_rule().size() == 2);
    end_all();
    CHECK(jobs_after_rule().size() == 2);  // nothing new since

    rules.start_after_labels = 0;
    rules.start_every_days = 7;
    const UtcMs last = now;
    now = last + 8 * kDay;
    CHECK(jobs_after_rule().size() == 2);  // nothing new since
    node.labelled_at = last + kDay;
    node.label(node.studies[1].study_uid, true);  // no new study: a reader has changed her mind
    now = last + 6 * kDay;
    CHECK(jobs_after_rule().size() == 2);
    now = last + 7 * kDay;
    jobs = jobs_after_rule();
    REQUIRE(jobs.size() == 3);
    CHECK(jobs[0].options.find("labels since the last job, 7 days ago") != std::string::npos);
    end_all();
    node.labelled_at = now + 1;
    // Too little to learn from starts nothing.
    rules.fewest_studies = 1000;
    rules.start_after_labels = 1;
    node.add(32, "P32", false);
    CHECK(jobs_after_rule().size() == 3);
}

TEST_CASE("too little to learn from is refused with the counts") {
    Snapshot snapshot;
    CHECK(too_little(snapshot, 2).find("0 labelled studies") != std::string::npos);
    const auto add = [&](Use use, bool present) {
        SnapshotStudy study;
        study.use = use;
        study.truth[0] = present;
        snapshot.studies.push_back(study);
    };
    for (int i = 0; i < 10; ++i) add(Use::kLearn, true);
    CHECK(too_little(snapshot, 10).find("10 studies with any hemorrhage and 0 without") != std::string::npos);
    for (int i = 0; i < 10; ++i) add(Use::kLearn, false);
    CHECK(too_little(snapshot, 10).find("for calibration") != std::string::npos);
    add(Use::kJudge, true);
    add(Use::kJudge, false);
    CHECK(too_little(snapshot, 10).find("held out") != std::string::npos);
    add(Use::kHeldOut, false);
    CHECK(too_little(snapshot, 10).empty());
    CHECK(too_little(snapshot, 21).find("at least 21") != std::string::npos);
    CHECK(counts_table(snapshot).find("10/10") != std::string::npos);
}
