#include "workflows/training/labels.h"

#include "storage/index/audit.h"
#include "tests/unit/workflows/hospital.h"
#include "workflows/training/commands.h"
#include "workflows/training/label_file.h"
#include "workflows/training/truth.h"

using namespace scopenode;
using namespace scopenode::workflows;
using storage::LabelRow;
using test::Hospital;
using test::Loop;

namespace {

std::filesystem::path write_text(const std::filesystem::path& file, const std::string& text) {
    REQUIRE(write_file(real_files(), file, text));
    return file;
}

LabelRow label(const std::string& finding, bool value, const std::string& reader,
               const std::string& slice = "", const std::string& source = "csv") {
    LabelRow row;
    row.finding = finding;
    row.value = value;
    row.reader = reader;
    row.sop_instance_uid = slice;
    row.source = source;
    return row;
}

StudyTruth resolve(const std::vector<LabelRow>& labels, const std::vector<std::string>& slices = {"a", "b"}) {
    return resolve_truth(labels, slices);
}

Result<std::string> command(Loop& node, const std::vector<std::string>& words) {
    return run_learning_command(*node.index, node.settings, node.folder.path(), node.clock, words);
}

std::vector<LabelRow> labels_of(Loop& node, const std::string& study) {
    return node.index->read([&](storage::Connection& db) { return storage::labels_of_study(db, study); })
        .value();
}

}  // namespace

TEST_CASE("label files of both forms are read and nothing is guessed") {
    const TemporaryFolder folder;
    const auto slices = read_label_file(write_text(
        folder.path() / "a.csv", "ID,Label\r\n1.2_any,1\n1.2_epidural,0\n1.2_any,1\nID_x_subdural,0\n"));
    REQUIRE(slices);
    CHECK(slices->labels.size() == 3);
    CHECK(slices->duplicates == 1);
    CHECK(slices->labels[2].slice == "ID_x");
    CHECK(slices->labels[2].finding == 5);
    CHECK_FALSE(slices->labels[2].value);
    const auto studies = read_label_file(
        write_text(folder.path() / "b.csv",
                   "study_uid,subdural,any,volume_ml,reader\n1.2.3,,1,12.5,Dr A\n1.2.4,0,0,,\n"));
    REQUIRE(studies);
    REQUIRE(studies->labels.size() == 3);  // the empty cell is unknown
    CHECK(studies->labels[0].study_uid == "1.2.3");
    CHECK(studies->labels[0].finding == 0);
    CHECK(studies->labels[0].reader == "Dr A");
    CHECK(studies->labels[1].finding == 5);
}

TEST_CASE("every bad line of a label file is named and nothing of it is taken") {
    Loop node;
    const auto csv = write_text(node.folder.path() / "bad.csv",
                                "ID,Label\n1.2_any,1\n1.2_anything,1\n1.2_epidural,7\n1.2_any,0\nnonsense\n");
    const auto refused = command(node, {"labels", "import", csv.string()});
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::kInvalidArgument);
    for (const char* line :
         {"4 faulty lines", "line 3:", "line 4:", "line 5: 1.2 any has two labels", "line 6:"}) {
        CAPTURE(refused.error().message);
        CHECK(refused.error().message.find(line) != std::string::npos);
    }
    CHECK(node.index->read(storage::count_labels)->labels == 0);
    for (const char* text : {"", "\n\n", "study_uid\n", "study_uid,any\nx y,1\n", "study_uid,any\n1.2,1,0\n",
                             "study_uid,any\n1.2,yes\n", "study_uid,any,subdurl\n1.2,1,1\n",
                             "study_uid,any,subdural\n1.2,0,1\n"}) {
        CAPTURE(text);
        CHECK(!read_label_file(write_text(node.folder.path() / "bad.csv", text)));
    }
    for (const char* head : {"\"study_uid\",\"any\"", "Study_UID;Any", "PatientName\x1b[2J"}) {
        const auto other = read_label_file(
            write_text(node.folder.path() / "bad.csv", std::string(head) + "\n1.2,1\n1.3,1\n"));
        REQUIRE(!other);
        CHECK(other.error().message.find("1 faulty line,") != std::string::npos);
        CHECK(other.error().message.find("the head of neither form") != std::string::npos);
        CHECK(other.error().message.find('\x1b') == std::string::npos);
    }
    CHECK(!command(node, {"labels", "import", (node.folder.path() / "none.csv").string()}));
}

TEST_CASE("labels of a file wait for their study and are joined when it comes") {
    Loop node;
    test::SmallStudy study;
    std::string text = "ID,Label\n";
    for (int i = 0; i < 12; ++i) text += study.sop_instance_uid(i) + "_any," + (i == 3 ? "1" : "0") + "\n";
    const auto csv = write_text(node.folder.path() / "labels.csv", text);
    const auto first = command(node, {"labels", "import", csv.string()});
    REQUIRE(first);
    CHECK(first->find("12 labels added") != std::string::npos);
    CHECK(first->find("12 of the node's labels wait") != std::string::npos);
    CHECK(command(node, {"labels", "import", csv.string()})->find("12 known already") != std::string::npos);
    CHECK(labels_of(node, study.study_uid).empty());
    node.receive(study, 0, 12);
    node.quiet();
    CHECK(labels_of(node, study.study_uid).size() == 12);
    CHECK(node.index->read(storage::count_labels)->pending == 0);
    const auto out = labels_export(*node.index, node.settings, false);
    REQUIRE(out);
    CHECK(*out == "study_uid,any,epidural,intraparenchymal,intraventricular,subarachnoid,subdural\n" +
                      study.study_uid + ",1,,,,,\n");
    const auto slices = labels_export(*node.index, node.settings, true);
    REQUIRE(slices);
    CHECK(slices->find(study.sop_instance_uid(3) + "_any,1\n") != std::string::npos);
}

TEST_CASE("readers have to agree or somebody decides") {
    CHECK(*resolve({label("any", true, "A")}).study[0]);
    CHECK_FALSE(resolve({label("any", true, "A")}).study[1].has_value());  // missing is unknown
    const auto disputed = resolve({label("any", true, "A"), label("any", false, "B")});
    CHECK_FALSE(disputed.study[0].has_value());
    REQUIRE(disputed.conflicts.size() == 1);
    CHECK(disputed.conflicts[0] == "study: any is present for A and absent for B");
    const auto decided = resolve(
        {label("any", true, "A"), label("any", false, "B"), label("any", false, "C", "", "adjudication")});
    CHECK(decided.conflicts.empty());
    CHECK_FALSE(*decided.study[0]);
}

TEST_CASE("findings of a study and its slices follow from each other and contradictions are unknown") {
    // A subtype makes any; no hemorrhage at all makes no subtype.
    CHECK(*resolve({label("subdural", true, "A")}).study[0]);
    const auto none = resolve({label("any", false, "A")});
    for (const auto& finding : none.study) CHECK_FALSE(finding.value());
    CHECK_FALSE(none.slices.at("a")[3].value());
    // A slice makes the study.
    const auto one = resolve({label("epidural", true, "A", "b")});
    CHECK(*one.study[1]);
    CHECK(*one.study[0]);
    CHECK(one.slices.count("a") == 0);
    // All slices absent make the study absent; one unknown leaves it unknown.
    CHECK_FALSE(*resolve({label("any", false, "A", "a"), label("any", false, "A", "b")}).study[0]);
    CHECK_FALSE(resolve({label("any", false, "A", "a")}).study[0].has_value());
    // Contradictions.
    for (const auto& labels : std::vector<std::vector<LabelRow>>{
             {label("any", false, "A"), label("subdural", true, "B")},
             {label("any", false, "A"), label("any", true, "B", "a")},
             {label("any", true, "A"), label("any", false, "B", "a"), label("any", false, "B", "b")}}) {
        const auto both = resolve(labels);
        CHECK(both.conflicts.size() == 1);
        CHECK_FALSE(both.study[0].has_value());
    }
}

TEST_CASE("a verified report labels the study that it answers and a newer word of the reader replaces it") {
    Hospital here;
    here.read_as("first", test::verified_by("Reader^Rita", {{0, test::kPresent}, {5, test::kPresent}}));
    here.send("first");
    const auto labels = labels_of(here, here.study.study_uid);
    REQUIRE(labels.size() == 6);
    for (const LabelRow& row : labels) {
        CHECK(row.source == "report");
        CHECK(row.reader == "Reader^Rita");
        CHECK(row.caller == "WORKSTATION");
        CHECK(row.result == here.report_uid);
        CHECK(row.saw_result);
        CHECK(row.read_at.has_value());
    }
    const StudyTruth said = resolve(labels, {});
    CAPTURE(fmt::format("{}", fmt::join(said.conflicts, "; ")));
    CHECK(said.study[5] == true);
    // The same reader takes one back and leaves another open.
    here.read_as(
        "second",
        test::verified_by("Reader^Rita", {{0, test::kAbsent}, {2, test::kAbsent}, {5, test::kUndetermined}}),
        here.file("first"));
    here.send("second");
    const auto newer = labels_of(here, here.study.study_uid);
    CHECK(newer.size() == 5);
    CHECK(resolve(newer, {}).study[0] == false);
    // Who may not label is heard and does not count.
    CHECK(counted_labels(newer, here.settings.training).size() == 5);
    here.settings.training.label_callers = {"OTHER"};
    CHECK(counted_labels(newer, here.settings.training).empty());
    const auto listed = labels_list(*here.index, here.settings, {}, true);
    REQUIRE(listed);
    const auto json = nlohmann::json::parse(*listed);
    CHECK(json["labels"].size() == 5);
    CHECK_FALSE(json["labels"][0]["counts"].get<bool>());
}

TEST_CASE("drafts and own results that come back label nothing") {
    Hospital here;
    auto draft = test::verified_by("Reader^Rita", {{0, test::kPresent}});
    draft.verifier.clear();
    here.read_as("draft", draft);
    here.send("draft");
    CHECK(here.feedback().at(0).at("state") == "pending");
    CHECK(here.send(here.report) == storage::StoreOutcome::kDuplicate);
    CHECK(labels_of(here, here.study.study_uid).empty());
}

TEST_CASE("a person at the command line labels and decides") {
    Loop node;
    test::SmallStudy study;
    node.receive(study, 0, 12);
    node.quiet();
    const std::string& uid = study.study_uid;
    REQUIRE(command(node, {"labels", "add", uid, "--reader", "A", "any=present", "subdural=present"}));
    REQUIRE(command(node, {"labels", "add", uid, "--reader", "B", "any=absent"}));
    CHECK(labels_conflicts(*node.index, node.settings, false)->find("present for A and absent for B") !=
          std::string::npos);
    REQUIRE(command(node, {"labels", "add", uid, "--reader", "C", "--adjudicate", "any=present"}));
    CHECK(*labels_conflicts(*node.index, node.settings, false) == "no contradictions");
    REQUIRE(command(node, {"labels", "add", uid, "--reader", "A", "subdural=unknown"}));
    CHECK(labels_of(node, uid).size() == 3);
    REQUIRE(command(
        node, {"labels", "add", uid, "--reader", "A", "--slice", study.sop_instance_uid(1), "any=present"}));
    CHECK(labels_of(node, uid).size() == 4);
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"labels", "add", uid, "any=present"},
             {"labels", "add", uid, "--reader", "A"},
             {"labels", "add", uid, "--reader", "A", "any=maybe"},
             {"labels", "add", uid, "--reader", "A", "tumour=present"},
             {"labels", "add", uid, "--reader", "A", "any=present", "any=absent"},
             {"labels", "add", uid, "--reader", "A", "any=absent", "subdural=present"},
             {"labels", "add", uid, "--reader", "A", "--adjudicate", "any=unknown"},
             {"labels", "add", "no uid", "--reader", "A", "any=present"},
             {"labels", "add", uid, "--reader", "A", "any=present", "--what"},
             {"labels", "forget", uid}}) {
        const auto refused = command(node, words);
        REQUIRE(!refused);
        CHECK(refused.error().code == Code::kInvalidArgument);
    }
    CHECK(node.index->read([](storage::Connection& db) { return storage::broken_audit_row(db); }).value() ==
          std::nullopt);
}
