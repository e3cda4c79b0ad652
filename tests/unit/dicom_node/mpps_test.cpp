#include "storage/index/mpps.h"

#include "base/core/ids.h"
#include "tests/unit/dicom_node/services_fixture.h"

using namespace scopenode;
using namespace scopenode::test;

TEST_CASE("MPPS: created and completed with its images and the study's event") {
    Services scp;
    scp.store(0);
    MppsSender ct(scp.server->port());
    const test::SmallStudy study;
    const std::size_t before = scp.events().size();
    CHECK(ct.create(study.study_uid, "2.25.50") == 0);
    CHECK(ct.last_uid == "2.25.50");
    CHECK(scp.events().size() == before + 1);
    CHECK(scp.events().back().kind == "mpps");
    const auto steps = [&] {
        return scp.read([&](Connection& db) { return storage::mpps_of(db, study.study_uid); });
    };
    REQUIRE(steps().size() == 1);
    CHECK(steps()[0].state == "IN PROGRESS");
    CHECK_FALSE(steps()[0].ended);
    CHECK(ct.set("2.25.50", "", {{study.series_uid, {slice_uid(0)}}}) == 0);
    CHECK(steps()[0].state == "IN PROGRESS");
    CHECK(ct.complete("2.25.50",
                      {{study.series_uid, {slice_uid(0), slice_uid(1)}}, {"2.25.9", {"2.25.91"}}}) == 0);
    CHECK(steps()[0].state == "COMPLETED");
    CHECK(steps()[0].images.size() == 3);
    CHECK(steps()[0].calling_ae == "CT1");
    CHECK(steps()[0].station_ae == "CT1");
    CHECK(steps()[0].ended);
    CHECK(scp.events().size() == before + 3);
    // A step that the node names; discontinued, of a study that is not here.
    CHECK(ct.create("2.25.77") == 0);
    CHECK(is_legal_uid(ct.last_uid));
    CHECK(ct.discontinue(ct.last_uid, "Patient refused") == 0);
    const auto other = scp.read([](Connection& db) { return storage::mpps_of(db, "2.25.77"); });
    REQUIRE(other.size() == 1);
    CHECK(other[0].state == "DISCONTINUED");
    CHECK(other[0].discontinuation_reason == "Patient refused");
    CHECK(scp.events().size() == before + 3);
}

TEST_CASE("MPPS: what is wrong has its status and the association goes on") {
    Services scp;
    MppsSender ct(scp.server->port());
    CHECK(ct.create("2.25.1", "2.25.50") == 0);
    CHECK(ct.create("2.25.1", "2.25.50") == 0x0111);
    CHECK(ct.create(std::vector<std::string>{"2.25.1"}, "2.25.51", "COMPLETED") == 0x0106);
    CHECK(ct.create(std::vector<std::string>{"2.25.1"}, "2.25.51", "") == 0x0120);
    CHECK(ct.create(std::vector<std::string>{}, "2.25.51") == 0x0120);
    CHECK(ct.create(std::vector<std::string>{"no UID"}, "2.25.51") == 0x0106);
    CHECK(ct.create("2.25.1", "2.25.0051") == 0x0117);
    CHECK(ct.set("2.25.52", "COMPLETED", {}) == 0x0112);
    CHECK(ct.set("2.25.50", "ALMOST", {}) == 0x0106);
    CHECK(ct.set("2.25.50", "COMPLETED", {{"2.25.2", {"no UID"}}}) == 0x0106);
    CHECK(ct.complete("2.25.50", {}) == 0);
    CHECK(ct.complete("2.25.50", {}) == 0x0110);
    CHECK(ct.last_error_id == 0xA710);
    CHECK(ct.discontinue("2.25.50") == 0x0110);

    ModalityAssociation association(scp.server->port(), "CT1",
                                    {{kMpps}, {kCommitment}, {UID_VerificationSOPClass}});
    DcmDataset empty;
    empty.putAndInsertString(DCM_PatientID, "P1");
    CHECK(association.n_create(kMpps, "2.25.53", nullptr) == 0x0120);
    CHECK(association.n_create("1.2.840.10008.5.1.1.1", "2.25.53", &empty) == 0x0122);
    CHECK(association.n_set(kCommitment, "2.25.50", &empty) == 0x0122);
    CHECK(association.echo() == 0);
    association.release();
}

TEST_CASE("MPPS: sequences nested without end and messages without end are refused and cost nothing") {
    Services scp;
    DcmDataset deep;
    DcmItem* item = &deep;
    for (int i = 0; i < 2000; ++i)
        REQUIRE(item->findOrCreateSequenceItem(DCM_ScheduledStepAttributesSequence, item, -2).good());
    ModalityAssociation association(scp.server->port(), "CT1", {{kMpps}});
    CHECK(association.n_create(kMpps, "2.25.53", &deep) == 0x0110);
    DcmDataset long_one;
    long_one.putAndInsertString(DCM_TextValue, std::string(33U << 20, 'x').c_str());
    CHECK(association.n_create(kMpps, "2.25.53", &long_one) == 0x0110);
    DcmDataset empty;
    empty.putAndInsertString(DCM_PatientID, "P1");
    CHECK(association.n_create(kMpps, "2.25.53", &empty) == 0x0120);
    association.release();
}
