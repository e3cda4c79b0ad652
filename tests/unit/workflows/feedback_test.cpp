#include <doctest/doctest.h>

#include "storage/index/labels.h"
#include "tests/unit/workflows/hospital.h"
#include "workflows/feedback/key_marks.h"

using namespace scopenode;
using namespace scopenode::test;
using namespace scopenode::workflows;
using nlohmann::json;

namespace {

constexpr std::size_t kAny = 0, kEpidural = 1, kIntraparenchymal = 2, kSubdural = 5;

std::string finding(const json& record, const char* label, const char* key = "presence") {
    const json& value = record["findings"][label][key];
    return value.is_null() ? "" : value.get<std::string>();
}

/// The study is as it was: done, nothing waits, one result, one job.
void undisturbed(Hospital& node) {
    const json why = node.why(node.study.study_uid);
    CHECK(why["state"] == "done");
    CHECK(why["due"].is_null());
    CHECK(node.results(node.study.study_uid) == 1);
    CHECK(why["jobs"].size() == 1);
    node.quiet();
    CHECK_FALSE(node.work_once());
    CHECK(node.results(node.study.study_uid) == 1);
}

}  // namespace

TEST_CASE("key objects of a person are a hint about their images and neither feedback nor labels") {
    Hospital node;
    const std::string selection = node.show(node.study.study_uid)["files"]["key_objects"];
    // The node's own selection with another hand's marks, as far as they are changed.
    const auto as_somebodys = [&](const std::string& name, const char* title, const char* observer) {
        return node.changed(node.folder.path() / selection, name, [&](DcmDataset& d) {
            d.putAndInsertString(DCM_SOPInstanceUID, ("2.25.88" + name).c_str());
            d.putAndInsertString(DCM_SeriesInstanceUID, "2.25.881");
            d.putAndInsertString(DCM_Manufacturer, "Workstation Works");
            DcmItem* code = nullptr;
            REQUIRE(d.findAndGetSequenceItem(DCM_ConceptNameCodeSequence, code, 0).good());
            code->putAndInsertString(DCM_CodeValue, title);
            replace_everywhere(d, DCM_CodeValue, "121007", observer);
        });
    };
    const auto marks = [&] {
        return node.index
            ->read([&](storage::Connection& db) { return storage::key_marks_of(db, node.study.study_uid); })
            .value();
    };
    CHECK(node.send(as_somebodys("1", "113001", "121006")) ==
          storage::StoreOutcome::kStored);  // rejected for quality
    CHECK(node.send(as_somebodys("3", "113000", "121007")) == storage::StoreOutcome::kStored);  // by a device
    CHECK(marks().empty());
    CHECK(node.send(as_somebodys("2", "113000", "121006")) == storage::StoreOutcome::kStored);  // of interest
    const auto found = marks();
    REQUIRE(!found.empty());
    CHECK(found[0].document == "2.25.882");
    CHECK(found[0].caller == "WORKSTATION");
    const auto analysed = node.show(node.study.study_uid)["slices"];
    for (const auto& mark : found) {
        bool known = false;
        for (const auto& slice : analysed) known |= slice["sop_instance_uid"] == mark.sop_instance_uid;
        CHECK(known);
    }
    const auto said = node.remarks("key objects");
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("a hint, no label") != std::string::npos);
    CHECK(node.feedback().empty());
    const auto labels = node.index->read(storage::count_labels);
    CHECK(labels->labels == 0);
    undisturbed(node);
    CHECK(workflows::marked_images(node.report / "nothing").empty());

    // Nested so deeply that a plain parser would use up the stack, and a UID that is none.
    const auto marks_of = [&](const std::string& name, auto change) {
        return workflows::marked_images(node.changed(as_somebodys("4", "113000", "121006"), name, change))
            .size();
    };
    CHECK(marks_of("5", [](DcmDataset&) {}) == found.size());
    CHECK(marks_of("6", [](DcmDataset& d) {
              DcmItem* inner = &d;
              for (int depth = 0; depth < 500; ++depth)
                  REQUIRE(inner->findOrCreateSequenceItem(DCM_ContentSequence, inner, -2).good());
          }) == 0);
    CHECK(marks_of("7", [&](DcmDataset& d) {
              for (const auto& mark : found)
                  replace_everywhere(d, DCM_ReferencedSOPInstanceUID, mark.sop_instance_uid, "no UID");
          }) == 0);
}

TEST_CASE("an amended and verified report becomes a record without loss") {
    Hospital node;
    node.settings.site.time_zone = "Europe/Berlin";
    Reading reading = verified_by("Reader^Rita", {{kSubdural, kPresent}, {kIntraparenchymal, kAbsent}});
    reading.comment = "thin rim on the left, see slice 4";
    reading.comment_at = kSubdural;
    reading.verifier = "Senior^Sam";
    reading.verifier_code = "R-17";
    const std::string uid = node.read_as("amended", reading);
    CHECK(node.send("amended") == storage::StoreOutcome::kStored);

    const json all = node.feedback();
    REQUIRE(all.size() == 1);
    const json& record = all[0];
    CHECK(record["state"] == "complete");
    CHECK(record["kind"] == "correction");
    CHECK(record["sop_instance_uid"] == uid);
    CHECK(record["study_uid"] == node.study.study_uid);
    CHECK(record["calling_ae"] == "WORKSTATION");
    CHECK(record["reader"] == "Senior^Sam");
    CHECK(record["organization"] == "City Hospital");
    CHECK(record["read_at"] == "2026-11-25T09:11:12.500Z");
    CHECK(record["answers"]["sop_instance_uid"] == node.report_uid);
    CHECK(record["answers"]["found_by"] == "predecessor");
    CHECK(record["answers"]["reader_saw_it"] == true);
    CHECK(record["answers"]["revision"] == 1);
    CHECK(record["answers"]["model_sha256"] == node.model.manifest_sha256());
    CHECK(finding(record, "subdural") == "present");
    CHECK(finding(record, "subdural", "was") == "absent");
    CHECK(finding(record, "subdural", "answer") == "changed");
    CHECK(finding(record, "intraparenchymal") == "absent");
    CHECK(finding(record, "intraparenchymal", "answer") == "changed");
    CHECK(finding(record, "any") == "present");
    CHECK(finding(record, "any", "answer") == "confirmed");
    CHECK(finding(record, "epidural", "answer") == "confirmed");
    REQUIRE(record["comments"].size() == 1);
    CHECK(record["comments"][0]["text"] == reading.comment);
    CHECK(record["comments"][0]["finding"] == "subdural");

    const json document = node.shown(uid)["document"];
    CHECK(document["completion"] == "COMPLETE");
    CHECK(document["verification"] == "VERIFIED");
    REQUIRE(document["people"].size() == 1);
    CHECK(document["people"][0]["name"] == "Senior^Sam");
    CHECK(document["people"][0]["organization"] == "City Hospital");
    CHECK(document["people"][0]["identification"]["code"] == "R-17");
    CHECK(document["people"][0]["identification"]["scheme"] == "99HOSPITAL");
    CHECK(document["people"][0]["time"]["given"] == "20261125101112.500+0100");
    CHECK(document["observers"].size() == 2);
    CHECK(document["observers"][0]["type"] == "device");
    CHECK(document["observers"][1]["name"] == "Reader^Rita");
    CHECK(document["predecessors"][0]["sop_instance_uid"] == node.report_uid);
    CHECK(document["evidence"].size() == 12);
    CHECK(document["manifests"] == json::array({node.model.manifest_sha256()}));
    CHECK(document["findings"]["subdural"]["tracking_uid"].get<std::string>().starts_with("2.25."));
    const auto said = node.remarks("feedback");
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("subdural: absent -> present") != std::string::npos);
    undisturbed(node);
}

TEST_CASE("a report that is only accepted confirms every finding") {
    Hospital node;
    node.read_as("accepted", verified_by("Reader^Rita"));
    node.send("accepted");
    const json record = node.feedback().at(0);
    CHECK(record["state"] == "complete");
    CHECK(record["kind"] == "confirmation");
    CHECK(record["comments"].empty());
    for (const auto& [label, one] : record["findings"].items()) CHECK(one["answer"] == "confirmed");
    CHECK(record["findings"].size() == 6);
}

TEST_CASE("the same document again and the same event again make no second record") {
    Hospital node;
    const std::string uid = node.read_as("accepted", verified_by("Reader^Rita"));
    node.send("accepted");
    CHECK(node.send("accepted") == storage::StoreOutcome::kDuplicate);
    CHECK(node.feedback().size() == 1);
    // The event is delivered again, as after a crash before the commit that ends it.
    REQUIRE(node.index->write([&](storage::Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto row, storage::find_instance(db, uid));
        return storage::add_received_event(db, {row->id, row->series_id, row->study_id});
    }));
    node.pass();
    CHECK(node.feedback().size() == 1);
    CHECK(node.remarks("feedback").size() == 1);
}

TEST_CASE("two readers stay beside each other and a reader's newer version takes the place of the older") {
    Hospital node;
    const std::string first = node.read_as("first", verified_by("Reader^Rita", {{kSubdural, kPresent}}));
    node.send("first");
    const std::string other = node.read_as("other", verified_by("Second^Susi"), node.file("first"));
    node.send("other");
    CHECK(node.shown(first)["superseded_by"].is_null());
    CHECK(node.shown(other)["answers"]["sop_instance_uid"] == node.report_uid);
    CHECK(node.shown(other)["predecessors"] == json::array({first}));
    CHECK(node.shown(other)["answers"]["found_by"] == "predecessor's predecessor");
    CHECK(finding(node.shown(other), "subdural", "answer") == "changed");

    // A draft replaces nothing that was verified.
    Reading draft = verified_by("Reader^Rita", {{kSubdural, kUndetermined}});
    draft.verifier = "";
    draft.complete = false;
    node.read_as("draft", draft, node.file("first"));
    node.send("draft");
    CHECK(node.shown(first)["superseded_by"].is_null());

    Reading later = verified_by("READER^RITA", {{kSubdural, kAbsent}});
    later.keep_predecessors = true;
    const std::string again = node.read_as("again", later, node.file("first"));
    node.send("again");
    CHECK(node.shown(first)["superseded_by"] == again);
    CHECK(node.shown(again)["superseded_by"].is_null());
    CHECK(node.shown(other)["superseded_by"].is_null());
    CHECK(node.shown(again)["predecessors"] == json::array({node.report_uid, first}));
    CHECK(node.feedback().size() == 4);
}

TEST_CASE("versions that arrive in the wrong order end the same") {
    Hospital node;
    const std::string first = node.read_as("first", verified_by("Reader^Rita", {{kSubdural, kPresent}}));
    const std::string second = node.read_as("second", verified_by("Reader^Rita"), node.file("first"));
    node.send("second");
    CHECK(node.shown(second)["predecessors"] == json::array({first}));
    CHECK(node.shown(second)["answers"]["found_by"] == "tracking UIDs");
    node.send("first");
    CHECK(node.shown(first)["superseded_by"] == second);
    CHECK(node.shown(second)["superseded_by"].is_null());
}

TEST_CASE("what no person has verified waits with the reason") {
    Hospital node;
    Reading reading = verified_by("Reader^Rita", {{kEpidural, kPresent}});
    reading.verifier = "";
    const std::string unverified = node.read_as("unverified", reading);
    node.send("unverified");
    CHECK(node.shown(unverified)["state"] == "pending");
    CHECK(node.shown(unverified)["reason"] == "it is not verified");

    reading.observer = "";
    const std::string nobody = node.read_as("nobody", reading);
    node.send("nobody");
    CHECK(node.shown(nobody)["reason"] == "no person is named who observed or verified it");
    CHECK(node.shown(nobody)["reader"].is_null());

    const std::string flag = node.read_as("flag", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("flag"), "flag only", [](DcmDataset& d) {
        REQUIRE(d.findAndDeleteElement(DCM_VerifyingObserverSequence).good());
    }));
    CHECK(node.shown(flag)["reason"] == "it is verified, but no verifying person is named");

    const std::string partial = node.read_as("partial", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("partial"), "partial only", [](DcmDataset& d) {
        REQUIRE(d.putAndInsertString(DCM_CompletionFlag, "PARTIAL").good());
    }));
    CHECK(node.shown(partial)["reason"] == "it is not complete");
    for (const auto& record : node.feedback()) CHECK(record["state"] == "pending");
    undisturbed(node);
}

TEST_CASE("a missing finding is not reported and never absent") {
    Hospital node;
    Reading reading = verified_by("Reader^Rita");
    reading.removed = {kAny, kSubdural};
    const std::string uid = node.read_as("short", reading);
    node.send("short");
    const json record = node.shown(uid);
    CHECK(finding(record, "any") == "not reported");
    CHECK(finding(record, "any", "answer") == "not reported");
    CHECK(finding(record, "subdural") == "not reported");
    CHECK(finding(record, "epidural") == "absent");
    CHECK(record["kind"] == "confirmation");
}

TEST_CASE("a foreign tree is understood by the synonyms of the codes and by tracking UIDs") {
    Hospital node;
    Reading reading = verified_by("Reader^Rita", {{kSubdural, kPresent}});
    reading.forget_predecessors = true;
    const std::string uid = node.read_as("foreign", reading);
    node.send(node.changed(node.file("foreign"), "translated", [](DcmDataset& d) {
        replace_everywhere(d, DCM_CodeValue, "272519000", "2667000");
        replace_everywhere(d, DCM_CodeValue, "52101004", "RID28472");
        replace_everywhere(d, DCM_CodeValue, "125007", "121070");
        replace_everywhere(d, DCM_CodeValue, "35486000", "95453001");
    }));
    const json record = node.shown(uid);
    CHECK(record["answers"]["found_by"] == "tracking UIDs");
    CHECK(record["state"] == "complete");
    CHECK(finding(record, "epidural") == "absent");
    // Schemes are part of a code: RID28472 in SCT is no presence that is known, and that is not absent.
    CHECK(finding(record, "any") == "undetermined");
    CHECK(record["document"]["findings"]["any"]["code"]["code"] == "RID28472");
    CHECK(finding(record, "subdural") == "undetermined");
}

TEST_CASE("without predecessor and tracking UIDs evidence and manifest tell the result") {
    Hospital node;
    Reading reading = verified_by("Reader^Rita");
    reading.forget_predecessors = true;
    const std::string uid = node.read_as("bare", reading);
    node.send(node.changed(node.file("bare"), "untracked",
                           [](DcmDataset& d) { replace_everywhere(d, DCM_CodeValue, "112040", "112041"); }));
    CHECK(node.shown(uid)["answers"]["found_by"] == "evidence and manifest");
    CHECK(node.shown(uid)["answers"]["sop_instance_uid"] == node.report_uid);
}

TEST_CASE("a document that contradicts itself says nothing certain") {
    Hospital node;
    const std::string uid = node.read_as("twice", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("twice"), "contradictory", [](DcmDataset& d) {
        // The group of subdural becomes a second one of the type before it.
        replace_everywhere(d, DCM_CodeValue, "35486000", "274100004");
    }));
    const json record = node.shown(uid);
    CHECK(finding(record, "intraparenchymal") == "undetermined");
    CHECK(record["document"]["findings"]["intraparenchymal"]["contradictory"] == true);
}

TEST_CASE("an answer to a study that was never seen waits for the study and its result") {
    Hospital first;
    const std::string uid = first.read_as("amended", verified_by("Reader^Rita", {{kSubdural, kPresent}}));
    Hospital node(false);
    node.send(first.file("amended"));
    json record = node.shown(uid);
    CHECK(record["state"] == "unmatched");
    CHECK(record["answers"].is_null());
    CHECK(finding(record, "subdural") == "present");
    CHECK(finding(record, "subdural", "answer") == "");
    node.quiet();
    CHECK(node.why(node.study.study_uid)["state"] == "not_eligible");
    node.make_report();
    node.pass();
    record = node.shown(uid);
    CHECK(record["state"] == "complete");
    CHECK(record["kind"] == "correction");
    CHECK(record["answers"]["sop_instance_uid"] == node.report_uid);
    CHECK(finding(record, "subdural", "answer") == "changed");
    CHECK(record["comments"].empty());
    CHECK(node.feedback().size() == 1);
    CHECK(node.remarks("feedback").size() == 2);
}

TEST_CASE("an answer that names our report from within another study is not believed") {
    Hospital node;
    const std::string uid = node.read_as("moved", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("moved"), "elsewhere", [](DcmDataset& d) {
        REQUIRE(d.putAndInsertString(DCM_StudyInstanceUID, "2.25.4711").good());
        REQUIRE(d.putAndInsertString(DCM_SeriesInstanceUID, "2.25.4712").good());
    }));
    CHECK(node.shown(uid)["state"] == "pending");
    CHECK(node.shown(uid)["reason"] == "its study is not the one of the result that it names");
}

TEST_CASE("somebody who answers under our own UID is heard") {
    Hospital node;
    node.read_as("amended", verified_by("Reader^Rita", {{kSubdural, kPresent}}));
    node.send(node.changed(node.file("amended"), "in place", [&](DcmDataset& d) {
        REQUIRE(d.putAndInsertString(DCM_SOPInstanceUID, node.report_uid.c_str()).good());
    }));
    const json all = node.feedback();
    REQUIRE(all.size() == 1);
    CHECK(all[0]["answers"]["found_by"] == "sop instance");
    CHECK(finding(all[0], "subdural", "answer") == "changed");
    CHECK(node.remarks("conflict").size() == 1);
    undisturbed(node);
}

TEST_CASE("texts in other character sets keep their letters and their lines") {
    Hospital node;
    Reading reading = verified_by("Reader^Rita");
    reading.comment = "PLACE";
    const std::string uid = node.read_as("umlaut", reading);
    node.send(node.changed(node.file("umlaut"), "latin", [](DcmDataset& d) {
        REQUIRE(d.putAndInsertString(DCM_SpecificCharacterSet, "ISO_IR 100").good());
        replace_everywhere(d, DCM_TextValue, "PLACE", "gro\xDF\r\nund sch\xF6n");
    }));
    CHECK(node.shown(uid)["comments"][0]["text"] == "groß\r\nund schön");

    const std::string japanese = node.read_as("kanji", reading);
    node.send(node.changed(node.file("kanji"), "japanese", [](DcmDataset& d) {
        REQUIRE(d.putAndInsertString(DCM_SpecificCharacterSet, "\\ISO 2022 IR 87").good());
        replace_everywhere(d, DCM_TextValue, "PLACE", "\x1b$B;3ED\x1b(B\nPLACE");
    }));
    CHECK(node.shown(japanese)["comments"][0]["text"] == "山田\nPLACE");
}

TEST_CASE("times of documents become UTC by their offset or the zone of the site") {
    const auto utc = [](const char* text, const char* offset, const char* zone) {
        const auto time = utc_of(text, offset, zone);
        return time ? iso8601(*time) : "none";
    };
    CHECK(utc("20261125101112.5", "", "UTC") == "2026-11-25T10:11:12.500Z");
    CHECK(utc("20261125101112", "", "Europe/Berlin") == "2026-11-25T09:11:12.000Z");
    CHECK(utc("20260725101112", "", "Europe/Berlin") == "2026-07-25T08:11:12.000Z");
    CHECK(utc("20260329023000", "", "Europe/Berlin") != "none");
    CHECK(utc("20261125101112", "-0530", "Europe/Berlin") == "2026-11-25T15:41:12.000Z");
    CHECK(utc("20261125101112.123456+0100", "-0530", "UTC") == "2026-11-25T09:11:12.123Z");
    CHECK(utc("20261125", "", "UTC") == "2026-11-25T00:00:00.000Z");
    CHECK(utc("2026", "", "UTC") == "2026-01-01T00:00:00.000Z");
    for (const char* wrong : {"", "202", "20261325", "20260230", "20261125256000", "2026112510111",
                              "yesterday", "20261125101112+9", "20261125101112.x"})
        CHECK(utc(wrong, "", "UTC") == "none");
}
