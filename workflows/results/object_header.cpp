#include "workflows/results/object_header.h"

#include <dcmtk/dcmdata/dcostrmb.h>

#include <algorithm>
#include <charconv>

#include "base/core/ids.h"

namespace scopenode::workflows {
namespace {

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

void series_and_equipment(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                          const EncodedObject& object, const SeriesWords& series) {
    to.put(d, DCM_Modality, series.modality);
    to.put(d, DCM_SeriesInstanceUID, object.series_uid);
    to.put(d, DCM_SeriesNumber, series.number);
    to.put(d, DCM_SeriesDescription, clipped(with_warning(analysis, series.description), 64));
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

}  // namespace

std::string clipped(std::string text, std::size_t most) {
    std::replace(text.begin(), text.end(), '\\', '/');
    if (text.size() <= most) return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    text.resize(most);
    return text;
}

// An offset that the study brought rules: its times are copied, and one offset has to fit all times of an
// object.
DicomTime time_of(const StudyAnalysis& analysis, const ReportContext& context) {
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
    return time;
}

Result<std::string> part10_bytes(DcmFileFormat& file) {
    constexpr E_TransferSyntax kSyntax = EXS_LittleEndianExplicit;
    OFCondition condition = file.validateMetaInfo(kSyntax);
    if (condition.bad()) return fail(Code::kInternal, "no meta header for the report: {}", condition.text());
    std::string buffer(1 << 16, '\0');
    std::string bytes;
    DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
    file.transferInit();
    do {
        condition = file.write(stream, kSyntax, EET_ExplicitLength, nullptr);
        void* piece = nullptr;
        offile_off_t length = 0;
        stream.flushBuffer(piece, length);
        bytes.append(static_cast<const char*>(piece), static_cast<std::size_t>(length));
    } while (condition == EC_StreamNotifyClient);
    file.transferEnd();
    if (condition.bad()) return fail(Code::kInternal, "the report cannot be encoded: {}", condition.text());
    return bytes;
}

EncodedObject named_object(const StudyAnalysis& analysis, const ReportContext& context,
                           const std::string& kind, std::string_view sop_class_uid,
                           const std::string& series_name, int index) {
    EncodedObject object;
    object.kind = kind;
    object.sop_class_uid = sop_class_uid;
    object.sop_instance_uid = result_uid(context, analysis, series_name, object.sop_class_uid, index);
    object.series_uid = series_uid_of(context, analysis, series_name);
    return object;
}

std::string series_uid_of(const ReportContext& context, const StudyAnalysis& analysis,
                          const std::string& name) {
    return uid_from_text(fmt::format("scopenode series|{}|{}|{}|{}|{}|{}", context.node_uid,
                                     analysis.header.study_uid, analysis.manifest_sha256,
                                     context.program_version, context.station_ae, name));
}

std::string with_warning(const StudyAnalysis& analysis, const std::string& description) {
    return analysis.manifest.demonstration ? "DEMONSTRATION " + description + " - not for patients"
                                           : description;
}

void put_common(Header& to, DcmItem& d, const StudyAnalysis& analysis, const ReportContext& context,
                const EncodedObject& object, const SeriesWords& series) {
    to.put(d, DCM_SpecificCharacterSet, "ISO_IR 192");
    to.put(d, DCM_SOPClassUID, object.sop_class_uid);
    to.put(d, DCM_SOPInstanceUID, object.sop_instance_uid);
    const DicomTime time = time_of(analysis, context);
    to.put(d, DCM_InstanceCreationDate, time.date);
    to.put(d, DCM_InstanceCreationTime, time.time);
    if (context.write_timezone_offset) to.put(d, DCM_TimezoneOffsetFromUTC, time.offset);
    patient_and_study(to, d, analysis.header);
    series_and_equipment(to, d, analysis, context, object, series);
}

void put_evidence(Header& to, DcmItem& d, const DcmTagKey& tag, const StudyAnalysis& analysis,
                  std::span<const AnalysedSlice> images) {
    DcmItem& study = to.item(d, tag);
    DcmItem& series = to.item(study, DCM_ReferencedSeriesSequence);
    for (const AnalysedSlice& image : images) to.image(series, DCM_ReferencedSOPSequence, image);
    to.put(series, DCM_SeriesInstanceUID, analysis.series_uid);
    to.put(study, DCM_StudyInstanceUID, analysis.header.study_uid);
}

}  // namespace scopenode::workflows
