#include <doctest/doctest.h>

#include "storage/dicom/ct_writer.h"
#include "tests/unit/workflows/hospital.h"

using namespace scopenode;
using namespace scopenode::test;
using namespace scopenode::workflows;
using nlohmann::json;

namespace {

/// Nothing but a remark has come of it.
void only_remarked(Hospital& node, const std::string& text) {
    const auto said = node.remarks("OWN_RESULT");
    REQUIRE(said.size() == 1);
    CHECK(said[0] == text);
    CHECK(node.feedback().empty());
    CHECK(node.remarks("conflict").empty());
    CHECK(node.remarks("duplicate").empty());
    const json why = node.why(node.study.study_uid);
    CHECK(why["state"] == "done");
    CHECK(why["due"].is_null());
    CHECK(node.results(node.study.study_uid) == 1);
    CHECK(why["instances"] == 12);
    node.quiet();
    CHECK_FALSE(node.work_once());
    CHECK(node.results(node.study.study_uid) == 1);
}

DcmDataset& put(DcmDataset& d, const DcmTagKey& tag, const char* value) {
    REQUIRE(d.putAndInsertString(tag, value).good());
    return d;
}

}  // namespace

TEST_CASE("an own report that comes back as it was is kept once") {
    Hospital node;
    CHECK(node.send(node.report) == storage::StoreOutcome::kDuplicate);
    CHECK(node.send(node.report) == storage::StoreOutcome::kDuplicate);
    only_remarked(node, "own result came back (as it was)");
}

TEST_CASE("an own report in another transfer syntax is the same") {
    Hospital node;
    const auto copy = node.changed(
        node.report, "implicit", [](DcmDataset&) {}, EXS_LittleEndianImplicit);
    CHECK(node.send(copy) == storage::StoreOutcome::kDuplicate);
    only_remarked(node, "own result came back (as it was)");
}

TEST_CASE("an own report that a PACS has coerced is recognised and says what was changed") {
    Hospital node;
    const auto copy = node.changed(node.report, "coerced", [](DcmDataset& d) {
        put(put(put(d, DCM_PatientName, "DOE^JANET"), DCM_PatientID, "P-2"), DCM_AccessionNumber, "A9");
        put(d, DcmTagKey(0x0009, 0x0010), "SOME PACS");
        REQUIRE(d.putAndInsertString(DcmTag(0x0009, 0x1001, EVR_LO), "mark").good());
    });
    CHECK(node.send(copy) == storage::StoreOutcome::kDuplicate);
    only_remarked(
        node, "own result came back (coerced: accession number, patient name, patient ID, private elements)");
}

TEST_CASE("an own report in a new character set is recognised") {
    Hospital node;
    const auto copy = node.changed(node.report, "latin", [](DcmDataset& d) {
        REQUIRE(d.convertCharacterSet("ISO_IR 192", "ISO_IR 100").good());
        put(put(d, DCM_SpecificCharacterSet, "ISO_IR 100"), DCM_PatientName, "D\xD6^JANE");
    });
    CHECK(node.send(copy) == storage::StoreOutcome::kDuplicate);
    only_remarked(node, "own result came back (coerced: patient name)");
}

TEST_CASE("an own report whose stored file is damaged is put back by the same bytes") {
    Hospital node;
    const auto bytes = read_file(node.report);
    REQUIRE(bytes);
    write_bytes(node.file("copy"), *bytes);
    std::filesystem::remove(node.report);
    CHECK(node.send("copy") == storage::StoreOutcome::kDuplicate);
    CHECK(read_file(node.report).value() == *bytes);
    only_remarked(node, "own result came back: its file was missing or damaged and has been replaced");
}

TEST_CASE("an own report under a new UID is recognised by its series or its device") {
    Hospital node;
    const char* said = "own result came back under another SOP Instance UID";
    SUBCASE("same series") {
        node.send(node.changed(node.report, "renamed",
                               [](DcmDataset& d) { put(d, DCM_SOPInstanceUID, "2.25.991"); }));
        only_remarked(node, said);
    }
    SUBCASE("other series") {
        node.send(node.changed(node.report, "renamed", [](DcmDataset& d) {
            put(put(d, DCM_SOPInstanceUID, "2.25.991"), DCM_SeriesInstanceUID, "2.25.992");
        }));
        const auto remarks = node.remarks("OWN_RESULT");
        REQUIRE(remarks.size() == 1);
        CHECK(remarks[0] == said);
        CHECK(node.feedback().empty());
        CHECK(node.why(node.study.study_uid)["state"] == "done");
    }
}

TEST_CASE("pictures of ours that come back are no slices and no reason to wait") {
    Hospital node;
    // As the node stores its own objects: a secondary capture in a series of ours.
    const auto picture = node.changed(node.report, "picture", [](DcmDataset& d) {
        put(put(put(put(d, DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.7"), DCM_SOPInstanceUID, "2.25.881"),
                DCM_SeriesInstanceUID, "2.25.882"),
            DCM_Modality, "OT");
        REQUIRE(d.findAndDeleteElement(DCM_ContentSequence).good());
    });
    REQUIRE(
        node.archive->store_own(read_file(picture).value(), [](storage::Connection&) { return Status(); }));
    CHECK(node.send(picture) == storage::StoreOutcome::kDuplicate);
    CHECK(node.remarks("OWN_RESULT") == std::vector<std::string>{"own result came back (as it was)"});
    SUBCASE("renamed within its series") {
        node.send(
            node.changed(picture, "renamed", [](DcmDataset& d) { put(d, DCM_SOPInstanceUID, "2.25.883"); }));
    }
    SUBCASE("renamed altogether") {
        node.send(node.changed(picture, "renamed", [](DcmDataset& d) {
            put(put(d, DCM_SOPInstanceUID, "2.25.883"), DCM_SeriesInstanceUID, "2.25.884");
        }));
    }
    const auto said = node.remarks("OWN_RESULT");
    REQUIRE(said.size() == 2);
    CHECK(said[1] == "own result came back under another SOP Instance UID");
    const json why = node.why(node.study.study_uid);
    CHECK(why["state"] == "done");
    CHECK(why["due"].is_null());
    node.quiet();
    CHECK_FALSE(node.work_once());
}

TEST_CASE("reports of other systems are kept and are no feedback") {
    Hospital node;
    const auto dose = [](DcmDataset& d) {
        put(put(put(d, DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.88.67"), DCM_SOPInstanceUID, "2.25.771"),
            DCM_SeriesInstanceUID, "2.25.772");
        put(d, DCM_Manufacturer, "Others");
        REQUIRE(d.findAndDeleteElement(DCM_ContributingEquipmentSequence).good());
        replace_everywhere(d, DCM_CodeValue, "125007", "113819");
        replace_everywhere(d, DCM_CodeValue, "121071", "113820");
        replace_everywhere(d, DCM_CodeValue, "112040", "113769");
        replace_everywhere(d, DCM_CodeValue, "111002", "113821");
        replace_everywhere(d, DCM_CodingSchemeDesignator, "99SCOPENODE", "99OTHERS");
    };
    CHECK(node.send(node.changed(node.report, "dose", dose)) == storage::StoreOutcome::kStored);
    // Another program that reads heads speaks of the same findings, without any person.
    node.send(node.changed(node.report, "other reader", [&](DcmDataset& d) {
        dose(d);
        put(put(d, DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.88.34"), DCM_SOPInstanceUID, "2.25.773");
        replace_everywhere(d, DCM_CodeValue, "113819", "125007");
        replace_everywhere(d, DCM_CodeValue, "113820", "121071");
    }));
    CHECK(node.feedback().empty());
    CHECK(node.remarks("REPORT_NOT_UNDERSTOOD").empty());
    CHECK(node.remarks("OWN_RESULT").empty());
    const json why = node.why(node.study.study_uid);
    CHECK(why["state"] == "done");
    CHECK(why["instances"] == 14);
    CHECK(node.results(node.study.study_uid) == 1);
}

TEST_CASE("a report that answers us and cannot be read is an outcome and stops nothing") {
    Hospital node;
    const auto nest = [](DcmDataset& d) {
        DcmItem* item = &d;
        for (int i = 0; i < 60; ++i) {
            DcmItem* below = nullptr;
            REQUIRE(item->findOrCreateSequenceItem(DCM_ContentSequence, below, -2).good());
            REQUIRE(below->putAndInsertString(DCM_ValueType, "CONTAINER").good());
            item = below;
        }
    };
    node.read_as("deep", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("deep"), "too deep", nest));
    CHECK(node.feedback().empty());
    const auto said = node.remarks("REPORT_NOT_UNDERSTOOD");
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("nested deeper") != std::string::npos);

    // Of texts without end.
    node.read_as("wordy", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("wordy"), "endless", [](DcmDataset& d) {
        DcmItem* item = nullptr;
        REQUIRE(d.findOrCreateSequenceItem(DCM_ContentSequence, item, -2).good());
        put(static_cast<DcmDataset&>(d), DCM_CompletionFlag, "COMPLETE");
        REQUIRE(item->putAndInsertString(DCM_ValueType, "TEXT").good());
        REQUIRE(item->putAndInsertString(DCM_TextValue, std::string(3 << 20, 'x').c_str()).good());
    }));
    CHECK(node.remarks("REPORT_NOT_UNDERSTOOD").size() == 2);

    node.read_as("heir", verified_by("Reader^Rita"));
    node.send(node.changed(node.file("heir"), "heir of all", [](DcmDataset& d) {
        DcmItem *study = nullptr, *series = nullptr;
        REQUIRE(d.findAndGetSequenceItem(DCM_PredecessorDocumentsSequence, study).good());
        REQUIRE(study->findAndGetSequenceItem(DCM_ReferencedSeriesSequence, series).good());
        for (int i = 0; i < 1500; ++i) {
            DcmItem* one = nullptr;
            REQUIRE(series->findOrCreateSequenceItem(DCM_ReferencedSOPSequence, one, -2).good());
            REQUIRE(one->putAndInsertString(DCM_ReferencedSOPInstanceUID, "2.25.1").good());
        }
    }));
    CHECK(node.remarks("REPORT_NOT_UNDERSTOOD").size() == 3);

    // The same of a stranger is nobody's business.
    const auto strange = node.changed(node.report, "strange", [&](DcmDataset& d) {
        nest(d);
        put(put(d, DCM_SOPInstanceUID, "2.25.661"), DCM_SeriesInstanceUID, "2.25.662");
        REQUIRE(d.findAndDeleteElement(DCM_ContributingEquipmentSequence).good());
        REQUIRE(d.findAndDeleteElement(DCM_CodingSchemeIdentificationSequence).good());
    });
    node.send(strange);
    CHECK(node.remarks("REPORT_NOT_UNDERSTOOD").size() == 3);

    // The queue has gone on.
    node.read_as("good", verified_by("Reader^Rita"));
    node.send("good");
    CHECK(node.feedback().size() == 1);
}
