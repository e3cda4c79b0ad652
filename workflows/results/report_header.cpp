#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <algorithm>
#include <charconv>

#include "base/core/ids.h"
#include "workflows/results/codes.h"
#include "workflows/results/report_parts.h"

namespace scopenode::workflows {
namespace {

/// At most `most` bytes, cut between characters of UTF-8, and one value: for texts that are ours to shorten,
/// never for identity. The standard counts characters, but many receivers (dciodvfy too) count bytes.
std::string clipped(std::string text, std::size_t most) {
    std::replace(text.begin(), text.end(), '\\', '/');
    if (text.size() <= most) return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    text.resize(most);
    return text;
}

/// The value when it has the form that its VR asks for, else nothing: a made-up form would be refused by the
/// receiver.
std::string legal_date(const std::string& date) {
    const bool digits = std::all_of(date.begin(), date.end(), [](char c) { return c >= '0' && c <= '9'; });
    return date.size() == 8 && digits ? date : "";
}
std::string legal_time(const std::string& time) {
    const bool digits =
        std::all_of(time.begin(), time.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    return time.size() <= 16 && digits ? time : "";
}
std::string legal_sex(const std::string& sex) {
    return sex == "M" || sex == "F" || sex == "O" ? sex : "";
}

/// Puts attributes into items; remembers the first fault.
class Header {
  public:
    void put(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
        check(item.putAndInsertString(tag, value.c_str()), tag);
    }
    void put_if(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
        if (!value.empty()) put(item, tag, value);
    }
    void empty_sequence(DcmItem& item, const DcmTagKey& tag) { check(item.insertEmptyElement(tag), tag); }
    DcmItem& item(DcmItem& parent, const DcmTagKey& tag) {
        DcmItem* made = nullptr;
        check(parent.findOrCreateSequenceItem(tag, made, -2), tag);
        return made ? *made : spare_;
    }
    void code(DcmItem& parent, const DcmTagKey& tag, const CodedEntry& entry) {
        DcmItem& made = item(parent, tag);
        put(made, DCM_CodeValue, entry.code);
        put(made, DCM_CodingSchemeDesignator, entry.scheme);
        put(made, DCM_CodeMeaning, entry.meaning);
    }
    Status status() const {
        if (!fault_.empty())
            return fail(Code::kInternal, "the report's header cannot be written: {}", fault_);
        return {};
    }

  private:
    void check(const OFCondition& condition, const DcmTagKey& tag) {
        if (condition.bad() && fault_.empty())
            fault_ = std::string(tag.toString().c_str()) + " " + condition.text();
    }
    DcmItem spare_;
    std::string fault_;
};

void patient_and_study(Header& to, DcmItem& d, const storage::InstanceHeader& h) {
    to.put(d, DCM_PatientName, h.patient_name);
    to.put(d, DCM_PatientID, h.patient_id);
    to.put_if(d, DCM_IssuerOfPatientID, h.patient_id_issuer);
    to.put(d, DCM_PatientBirthDate, legal_date(h.birth_date));
    to.put(d, DCM_PatientSex, legal_sex(h.sex));
    to.put(d, DCM_StudyInstanceUID, h.study_uid);
    to.put(d, DCM_StudyDate, legal_date(h.study_date));
    to.put(d, DCM_StudyTime, legal_time(h.study_time));
    to.put(d, DCM_ReferringPhysicianName, h.referring_physician);
    to.put(d, DCM_StudyID, h.study_id);
    to.put(d, DCM_AccessionNumber, h.accession_number);
    to.put_if(d, DCM_StudyDescription, clipped(h.study_description, 64));
}

/// Content date and time, and the offset where the site wants one. An offset that the study brought rules:
/// its times are copied, and one offset has to fit all times of an object.
void times(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context) {
    DicomTime time = dicom_time(context.analysis_started, context.time_zone);
    const std::string& brought = analysis.header.timezone_offset;
    int hours_and_minutes = 0;
    if (context.write_timezone_offset && brought.size() == 5 && (brought[0] == '+' || brought[0] == '-') &&
        std::from_chars(brought.data() + 1, brought.data() + 5, hours_and_minutes).ptr ==
            brought.data() + 5) {
        const UtcMs minutes = hours_and_minutes / 100 * 60 + hours_and_minutes % 100;
        const UtcMs shift = (brought[0] == '-' ? -minutes : minutes) * 60000;
        time = dicom_time(context.analysis_started + shift, "UTC");
        time.offset = brought;
    }
    to.put(d, DCM_ContentDate, time.date);
    to.put(d, DCM_ContentTime, time.time);
    to.put(d, DCM_InstanceCreationDate, time.date);
    to.put(d, DCM_InstanceCreationTime, time.time);
    if (context.write_timezone_offset) to.put(d, DCM_TimezoneOffsetFromUTC, time.offset);
}

void series_and_equipment(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                          const EncodedObject& object) {
    to.put(d, DCM_Modality, "SR");
    to.put(d, DCM_SeriesInstanceUID, object.series_uid);
    to.put(d, DCM_SeriesNumber, "9001");
    to.put(d, DCM_SeriesDescription, series_description(analysis));
    to.empty_sequence(d, DCM_ReferencedPerformedProcedureStepSequence);
    to.put(d, DCM_Manufacturer, std::string(kManufacturer));
    to.put(d, DCM_ManufacturerModelName, clipped(analysis.manifest.name, 64));
    to.put(d, DCM_DeviceSerialNumber, sha256_hex(context.node_uid).substr(0, 12));
    to.put(d, DCM_SoftwareVersions, clipped(context.program_version, 64));
    to.put_if(d, DCM_StationName, clipped(context.station_ae, 16));

    DcmItem& contribution = to.item(d, DCM_ContributingEquipmentSequence);
    to.code(contribution, DCM_PurposeOfReferenceCodeSequence,
            CodeTable::embedded().concept_of("processing_equipment"));
    to.put(contribution, DCM_Manufacturer, std::string(kManufacturer));
    to.put(contribution, DCM_ManufacturerModelName, clipped(analysis.manifest.name, 64));
    to.put(contribution, DCM_SoftwareVersions,
           clipped(context.program_version, 64) + "\\model " + clipped(analysis.manifest.version, 58));
    to.put(contribution, DCM_DeviceUID, model_device_uid(analysis));
    to.put(contribution, DCM_ContributionDescription,
           clipped("Model " + analysis.model_id + ", settings " + context.settings_revision, 1024));
}

void references(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                const EncodedObject& object) {
    DcmItem& study = to.item(d, DCM_CurrentRequestedProcedureEvidenceSequence);
    DcmItem& series = to.item(study, DCM_ReferencedSeriesSequence);
    for (const AnalysedSlice& slice : analysis.slices) {
        DcmItem& one = to.item(series, DCM_ReferencedSOPSequence);
        to.put(one, DCM_ReferencedSOPClassUID, slice.sop_class_uid);
        to.put(one, DCM_ReferencedSOPInstanceUID, slice.sop_instance_uid);
    }
    to.put(series, DCM_SeriesInstanceUID, analysis.series_uid);
    to.put(study, DCM_StudyInstanceUID, analysis.header.study_uid);

    if (context.predecessor_sop_instance_uid.empty()) return;
    DcmItem& before = to.item(d, DCM_PredecessorDocumentsSequence);
    DcmItem& its_series = to.item(before, DCM_ReferencedSeriesSequence);
    DcmItem& document = to.item(its_series, DCM_ReferencedSOPSequence);
    to.put(
        document, DCM_ReferencedSOPClassUID,
        context.predecessor_sop_class_uid.empty() ? object.sop_class_uid : context.predecessor_sop_class_uid);
    to.put(document, DCM_ReferencedSOPInstanceUID, context.predecessor_sop_instance_uid);
    to.put(its_series, DCM_SeriesInstanceUID,
           context.predecessor_series_uid.empty() ? object.series_uid : context.predecessor_series_uid);
    to.put(before, DCM_StudyInstanceUID, analysis.header.study_uid);
}

}  // namespace

std::string report_series_uid(const ReportContext& context, const StudyAnalysis& analysis) {
    // All that the series and equipment attributes are made of: within one series they must never differ.
    return uid_from_text(fmt::format("scopenode series|{}|{}|{}|{}|{}|sr", context.node_uid,
                                     analysis.header.study_uid, analysis.manifest_sha256,
                                     context.program_version, context.station_ae));
}

std::string model_device_uid(const StudyAnalysis& analysis) {
    return uid_from_text("scopenode model|" + analysis.manifest_sha256);
}

std::string series_description(const StudyAnalysis& analysis) {
    return analysis.manifest.demonstration ? "DEMONSTRATION ScopeNode ICH findings - not for patients"
                                           : "ScopeNode ICH findings";
}

Status write_header(DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                    const EncodedObject& object) {
    Header to;
    to.put(d, DCM_SpecificCharacterSet, "ISO_IR 192");
    to.put(d, DCM_SOPClassUID, object.sop_class_uid);
    to.put(d, DCM_SOPInstanceUID, object.sop_instance_uid);
    to.put(d, DCM_InstanceNumber, std::to_string(context.revision));
    times(to, d, analysis, context);
    patient_and_study(to, d, analysis.header);
    series_and_equipment(to, d, analysis, context, object);

    const CodeTable& codes = CodeTable::embedded();
    DcmItem& scheme = to.item(d, DCM_CodingSchemeIdentificationSequence);
    to.put(scheme, DCM_CodingSchemeDesignator, codes.private_designator());
    to.put(scheme, DCM_CodingSchemeUID, codes.private_uid());
    to.put(scheme, DCM_CodingSchemeName, codes.private_name());

    to.put(d, DCM_CompletionFlag, "COMPLETE");
    to.put(d, DCM_VerificationFlag, "UNVERIFIED");
    to.put(d, DCM_PreliminaryFlag, "PRELIMINARY");
    to.empty_sequence(d, DCM_PerformedProcedureCodeSequence);
    references(to, d, analysis, context, object);
    return to.status();
}

}  // namespace scopenode::workflows
