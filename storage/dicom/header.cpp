#include "storage/dicom/header.h"

#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <cmath>

#include "base/core/ids.h"
#include "storage/dicom/charset.h"
#include "storage/dicom/parse.h"
#include "storage/dicom/poor_header.h"
#include "storage/dicom/rescale.h"

namespace scopenode::storage {
namespace {

// No sane text is longer. A longer one is cut; its digest keeps it different from others with the same start.
constexpr std::size_t kLongestText = 1024;

std::string trimmed(std::string text) {
    const auto end = text.find_last_not_of(std::string(" \0", 2));
    text.erase(end == std::string::npos ? 0 : end + 1);
    const auto begin = text.find_first_not_of(' ');
    return begin == std::string::npos ? "" : text.substr(begin);
}

std::string cut(const std::string& text) {
    if (text.size() <= kLongestText) return text;
    std::size_t end = kLongestText;
    while ((static_cast<unsigned char>(text[end]) >> 6) == 2) --end;
    return text.substr(0, end) + "... #" + sha256_hex(text).substr(0, 16);
}

/// Reads text elements in the character set of the data set.
struct Texts {
    DcmItem& item;
    std::string charset;

    std::string operator()(const DcmTagKey& tag) const {
        OFString value;
        if (item.findAndGetOFStringArray(tag, value).bad()) return "";
        return cut(trimmed(to_utf8(value.c_str(), charset)));
    }
};

Texts texts_of(DcmItem& item) {
    Texts plain{item, ""};
    return {item, plain(DCM_SpecificCharacterSet)};
}

template <std::size_t N>
std::optional<std::array<double, N>> numbers_of(DcmItem& item, const DcmTagKey& tag) {
    std::array<double, N> out{};
    for (std::size_t i = 0; i < N; ++i) {
        if (item.findAndGetFloat64(tag, out[i], static_cast<unsigned long>(i)).bad()) return std::nullopt;
        if (!std::isfinite(out[i])) return std::nullopt;
    }
    return out;
}

std::optional<double> number_of(DcmItem& item, const DcmTagKey& tag) {
    const auto one = numbers_of<1>(item, tag);
    if (!one) return std::nullopt;
    return (*one)[0];
}

int integer_of(DcmItem& item, const DcmTagKey& tag, int otherwise) {
    Sint32 value = 0;
    if (item.findAndGetSint32(tag, value).good()) return value;
    Uint16 small = 0;
    if (item.findAndGetUint16(tag, small).good()) return small;
    return otherwise;
}

std::vector<std::string> values_of(const std::string& text) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    while (begin <= text.size() && !text.empty()) {
        const std::size_t end = std::min(text.find('\\', begin), text.size());
        out.push_back(trimmed(text.substr(begin, end - begin)));
        begin = end + 1;
    }
    return out;
}

void read_patient_and_study(const Texts& text, InstanceHeader& h) {
    h.patient_id = text(DCM_PatientID);
    h.patient_id_issuer = text(DCM_IssuerOfPatientID);
    h.patient_name = text(DCM_PatientName);
    h.birth_date = text(DCM_PatientBirthDate);
    h.sex = text(DCM_PatientSex);
    h.study_uid = text(DCM_StudyInstanceUID);
    h.study_date = text(DCM_StudyDate);
    h.study_time = text(DCM_StudyTime);
    h.study_id = text(DCM_StudyID);
    h.accession_number = text(DCM_AccessionNumber);
    h.study_description = text(DCM_StudyDescription);
    h.referring_physician = text(DCM_ReferringPhysicianName);
    h.timezone_offset = text(DCM_TimezoneOffsetFromUTC);
    h.study_objects = std::max(0, integer_of(text.item, DCM_NumberOfStudyRelatedInstances, 0));
    h.requested_priority = text(DCM_RequestedProcedurePriority);
    DcmItem* request = nullptr;
    if (h.requested_priority.empty() &&
        text.item.findAndGetSequenceItem(DCM_RequestAttributesSequence, request).good())
        h.requested_priority = Texts{*request, text.charset}(DCM_RequestedProcedurePriority);
    if (h.requested_priority.empty()) h.requested_priority = text(DCM_RETIRED_StudyPriorityID);
}

void read_series(const Texts& text, InstanceHeader& h) {
    h.series_uid = text(DCM_SeriesInstanceUID);
    h.series_description = text(DCM_SeriesDescription);
    h.series_number = text(DCM_SeriesNumber);
    h.modality = text(DCM_Modality);
    h.body_part = text(DCM_BodyPartExamined);
    h.frame_of_reference_uid = text(DCM_FrameOfReferenceUID);
    h.manufacturer = text(DCM_Manufacturer);
    h.model_name = text(DCM_ManufacturerModelName);
    h.station_name = text(DCM_StationName);
    h.convolution_kernel = text(DCM_ConvolutionKernel);
    h.contrast_agent = text(DCM_ContrastBolusAgent);
    h.protocol_name = text(DCM_ProtocolName);
}

void read_instance(const Texts& text, InstanceHeader& h) {
    DcmItem& d = text.item;
    h.sop_class_uid = text(DCM_SOPClassUID);
    h.sop_instance_uid = text(DCM_SOPInstanceUID);
    h.instance_number = text(DCM_InstanceNumber);
    h.acquisition_number = text(DCM_AcquisitionNumber);
    h.image_type = values_of(text(DCM_ImageType));
    h.rows = integer_of(d, DCM_Rows, 0);
    h.columns = integer_of(d, DCM_Columns, 0);
    h.frames = integer_of(d, DCM_NumberOfFrames, 1);
    h.slice_thickness_mm = number_of(d, DCM_SliceThickness);
    h.gantry_tilt_degrees = number_of(d, DCM_GantryDetectorTilt);
    h.rescale_slope = number_of(d, DCM_RescaleSlope);
    h.rescale_intercept = number_of(d, DCM_RescaleIntercept);
    h.pixel_spacing_mm = numbers_of<2>(d, DCM_PixelSpacing);
    h.orientation = numbers_of<6>(d, DCM_ImageOrientationPatient);
    h.position_mm = numbers_of<3>(d, DCM_ImagePositionPatient);
    h.has_pixels = d.tagExists(DCM_PixelData);
    h.has_rsna_quirk =
        h.has_pixels &&
        has_rsna_quirk(integer_of(d, DCM_BitsStored, integer_of(d, DCM_BitsAllocated, 16)),
                       integer_of(d, DCM_PixelRepresentation, 0) == 1, h.rescale_intercept.value_or(0));
}

// Native pixel data must be as long as rows, columns, frames and bits say (PS3.5 8.1).
Status check_pixel_length(DcmItem& d, const InstanceHeader& h, const std::string& where) {
    DcmElement* pixels = nullptr;
    if (d.findAndGetElement(DCM_PixelData, pixels).bad() || pixels == nullptr) return {};
    if (DcmXfer(h.transfer_syntax_uid.c_str()).isEncapsulated()) return {};
    const auto samples = static_cast<double>(integer_of(d, DCM_SamplesPerPixel, 1));
    const double expected =
        samples * h.rows * h.columns * std::max(h.frames, 1) * integer_of(d, DCM_BitsAllocated, 16) / 8;
    if (static_cast<double>(pixels->getLengthField()) < expected)
        return fail(Code::kCannotUnderstand, "{}: {} bytes of pixel data, not {:.0f}", where,
                    pixels->getLengthField(), expected);
    return {};
}

Result<InstanceHeader> header_of(DcmFileFormat& file, const std::string& where, bool uids_needed) {
    DcmDataset& dataset = *file.getDataset();
    if (dataset.card() == 0) return fail(Code::kCannotUnderstand, "{}: no DICOM elements", where);
    InstanceHeader h;
    h.transfer_syntax_uid = DcmXfer(dataset.getOriginalXfer()).getXferID();
    const Texts text = texts_of(dataset);
    read_patient_and_study(text, h);
    read_series(text, h);
    read_instance(text, h);
    for (const auto& [value, name] : {std::pair{&h.sop_class_uid, "SOP Class UID"},
                                      {&h.sop_instance_uid, "SOP Instance UID"},
                                      {&h.study_uid, "Study Instance UID"},
                                      {&h.series_uid, "Series Instance UID"}})
        if (uids_needed && value->empty()) return fail(Code::kCannotUnderstand, "{}: no {}", where, name);
    SCOPENODE_TRY(check_pixel_length(dataset, h, where));
    return h;
}

Result<InstanceHeader> read(const std::filesystem::path& path, bool uids_needed) {
    return guard(Code::kCannotUnderstand, [&]() -> Result<InstanceHeader> {
        DcmFileFormat file;
        SCOPENODE_TRY(parse_file(file, path, ReadUpTo::kPixelData));
        return header_of(file, path.filename().string(), uids_needed);
    });
}

}  // namespace

Result<InstanceHeader> read_header(const std::filesystem::path& path) {
    return read(path, true);
}
Result<InstanceHeader> read_poor_header(const std::filesystem::path& path) {
    return read(path, false);
}

std::optional<double> normal_position_mm(const InstanceHeader& header) {
    if (!header.orientation || !header.position_mm) return std::nullopt;
    const auto& o = *header.orientation;
    const auto& p = *header.position_mm;
    const double nx = o[1] * o[5] - o[2] * o[4], ny = o[2] * o[3] - o[0] * o[5],
                 nz = o[0] * o[4] - o[1] * o[3];
    const double length = std::sqrt(nx * nx + ny * ny + nz * nz);
    if (length < 1e-6) return std::nullopt;
    return (nx * p[0] + ny * p[1] + nz * p[2]) / length;
}

bool dictionary_is_loaded() {
    return dcmDataDict.isDictionaryLoaded();
}

Codecs::Codecs() {
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    DcmRLEDecoderRegistration::registerCodecs();
}
Codecs::~Codecs() {
    DJDecoderRegistration::cleanup();
    DJLSDecoderRegistration::cleanup();
    DcmRLEDecoderRegistration::cleanup();
}

}  // namespace scopenode::storage
