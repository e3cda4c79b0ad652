#include "storage/dicom/ct_writer.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dctk.h>

#include "base/core/ids.h"

namespace scopenode::storage {
namespace {

/// DS holds at most 16 characters.
std::string decimal(double value) {
    std::string text = fmt::format("{:.6f}", value);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text == "-0" ? "0" : text.substr(0, 16);
}

template <std::size_t N>
std::string decimals(const std::array<double, N>& values) {
    std::string text;
    for (const double value : values) text += (text.empty() ? "" : "\\") + decimal(value);
    return text;
}

/// Puts elements into a data set and keeps the first failure.
class Writer {
  public:
    explicit Writer(DcmItem& item) : item_(item) {}
    void text(const DcmTagKey& tag, const std::string& value) {
        keep(item_.putAndInsertString(tag, value.c_str()));
    }
    void text_if(const DcmTagKey& tag, const std::string& value) {
        if (!value.empty()) text(tag, value);
    }
    void number(const DcmTagKey& tag, Uint16 value) { keep(item_.putAndInsertUint16(tag, value)); }
    void keep(const OFCondition& condition) {
        if (condition.bad() && condition_.good()) condition_ = condition;
    }
    const OFCondition& condition() const { return condition_; }

  private:
    DcmItem& item_;
    OFCondition condition_ = EC_Normal;
};

Status check(const CtSlice& slice) {
    if (slice.rows < 1 || slice.columns < 1 || slice.rows > 65535 || slice.columns > 65535)
        return fail(Code::kInvalidArgument, "a CT slice of {} x {} pixels cannot be written", slice.columns,
                    slice.rows);
    if (slice.raw.size() != static_cast<std::size_t>(slice.rows) * static_cast<std::size_t>(slice.columns))
        return fail(Code::kInvalidArgument, "{} pixel values do not fill {} x {}", slice.raw.size(),
                    slice.columns, slice.rows);
    if (slice.bits_stored < 8 || slice.bits_stored > 16)
        return fail(Code::kInvalidArgument, "{} bits stored cannot be written", slice.bits_stored);
    for (const auto* uid :
         {&slice.study_uid, &slice.series_uid, &slice.sop_instance_uid, &slice.frame_of_reference_uid})
        if (!is_legal_uid(*uid)) return fail(Code::kInvalidArgument, "'{}' is not a legal UID", *uid);
    const int low = slice.is_signed ? -(1 << (slice.bits_stored - 1)) : 0;
    const int high = low + (1 << slice.bits_stored) - 1;
    const auto [least, most] = std::minmax_element(slice.raw.begin(), slice.raw.end());
    if (*least < low || *most > high)
        return fail(Code::kInvalidArgument, "pixel values {}..{} do not fit {}..{}", *least, *most, low,
                    high);
    return {};
}

void put_patient_and_study(Writer& w, const CtSlice& s) {
    w.text(DCM_SpecificCharacterSet, "ISO_IR 100");
    w.text(DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL");
    w.text(DCM_SOPClassUID, UID_CTImageStorage);
    w.text(DCM_SOPInstanceUID, s.sop_instance_uid);
    w.text(DCM_StudyDate, s.study_date);
    w.text(DCM_SeriesDate, s.study_date);
    w.text(DCM_AcquisitionDate, s.study_date);
    w.text(DCM_ContentDate, s.study_date);
    w.text(DCM_StudyTime, s.study_time);
    w.text(DCM_SeriesTime, s.study_time);
    w.text(DCM_AcquisitionTime, s.study_time);
    w.text(DCM_ContentTime, s.study_time);
    w.text(DCM_AccessionNumber, s.accession_number);
    w.text(DCM_Modality, "CT");
    w.text(DCM_Manufacturer, s.manufacturer);
    w.text(DCM_ReferringPhysicianName, "");
    w.text_if(DCM_StationName, s.station_name);
    w.text_if(DCM_StudyDescription, s.study_description);
    w.text_if(DCM_SeriesDescription, s.series_description);
    w.text_if(DCM_ManufacturerModelName, s.model_name);
    w.text(DCM_PatientName, s.patient_name);
    w.text(DCM_PatientID, s.patient_id);
    w.text(DCM_PatientBirthDate, s.birth_date);
    w.text(DCM_PatientSex, s.sex);
}

void put_series_and_geometry(Writer& w, const CtSlice& s) {
    w.text(DCM_BodyPartExamined, "HEAD");
    w.text(DCM_SliceThickness, decimal(s.slice_mm));
    w.text(DCM_KVP, s.kvp);
    w.text_if(DCM_ProtocolName, s.protocol_name);
    w.text(DCM_GantryDetectorTilt, decimal(s.gantry_tilt_degrees));
    w.text_if(DCM_ConvolutionKernel, s.convolution_kernel);
    w.text(DCM_PatientPosition, "HFS");
    w.text(DCM_StudyInstanceUID, s.study_uid);
    w.text(DCM_SeriesInstanceUID, s.series_uid);
    w.text(DCM_StudyID, s.study_id);
    w.text(DCM_SeriesNumber, s.series_number);
    w.text(DCM_AcquisitionNumber, "1");
    w.text(DCM_InstanceNumber, s.instance_number);
    w.text(DCM_ImagePositionPatient, decimals(s.position_mm));
    w.text(DCM_ImageOrientationPatient, decimals(s.orientation));
    w.text(DCM_FrameOfReferenceUID, s.frame_of_reference_uid);
    w.text(DCM_PositionReferenceIndicator, "");
}

void put_pixels(Writer& w, DcmDataset& data, const CtSlice& s) {
    w.number(DCM_SamplesPerPixel, 1);
    w.text(DCM_PhotometricInterpretation, "MONOCHROME2");
    w.number(DCM_Rows, static_cast<Uint16>(s.rows));
    w.number(DCM_Columns, static_cast<Uint16>(s.columns));
    w.text(DCM_PixelSpacing, decimals(std::array<double, 2>{s.pixel_mm, s.pixel_mm}));
    w.number(DCM_BitsAllocated, 16);
    w.number(DCM_BitsStored, static_cast<Uint16>(s.bits_stored));
    w.number(DCM_HighBit, static_cast<Uint16>(s.bits_stored - 1));
    w.number(DCM_PixelRepresentation, s.is_signed ? 1 : 0);
    if (s.padding_raw) {
        // US or SS by the pixel representation; DCMTK's dictionary says "xs", so the VR is set here.
        std::unique_ptr<DcmElement> padding;
        if (s.is_signed) {
            auto value = std::make_unique<DcmSignedShort>(DcmTag(DCM_PixelPaddingValue, EVR_SS));
            w.keep(value->putSint16(static_cast<Sint16>(*s.padding_raw)));
            padding = std::move(value);
        } else {
            auto value = std::make_unique<DcmUnsignedShort>(DcmTag(DCM_PixelPaddingValue, EVR_US));
            w.keep(value->putUint16(static_cast<Uint16>(*s.padding_raw)));
            padding = std::move(value);
        }
        w.keep(data.insert(padding.get(), OFTrue));
        padding.release();
    }
    w.text(DCM_WindowCenter, "40");
    w.text(DCM_WindowWidth, "80");
    w.text(DCM_RescaleIntercept, fmt::format("{}", s.intercept));
    w.text(DCM_RescaleSlope, "1");
    w.text(DCM_RescaleType, "HU");
    std::vector<Uint16> words(s.raw.size());
    const unsigned mask = (1U << s.bits_stored) - 1;
    for (std::size_t i = 0; i < words.size(); ++i)
        words[i] =
            static_cast<Uint16>(s.is_signed && s.bits_stored == 16 ? static_cast<unsigned>(s.raw[i]) & 0xFFFFU
                                                                   : static_cast<unsigned>(s.raw[i]) & mask);
    auto pixels = std::make_unique<DcmPixelData>(DcmTag(DCM_PixelData, EVR_OW));
    w.keep(pixels->putUint16Array(words.data(), static_cast<unsigned long>(words.size())));
    w.keep(data.insert(pixels.get(), OFTrue));
    pixels.release();
}

std::string little_endian(std::size_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
    return out;
}

/// An element of group 0002 in Explicit VR Little Endian.
std::string meta_element(unsigned element, const char* vr, std::string value) {
    if (value.size() % 2) value += std::string_view(vr) == "UI" ? '\0' : ' ';
    const bool is_long = std::string_view(vr) == "OB";
    return little_endian(2, 2) + little_endian(element, 2) + vr +
           (is_long ? std::string(2, '\0') + little_endian(value.size(), 4)
                    : little_endian(value.size(), 2)) +
           value;
}

/// The file's head is made by hand: DCMTK would write its own version into it.
std::string file_head(const CtSlice& s) {
    const std::string rest =
        meta_element(0x0001, "OB", std::string("\0\1", 2)) + meta_element(0x0002, "UI", UID_CTImageStorage) +
        meta_element(0x0003, "UI", s.sop_instance_uid) +
        meta_element(0x0010, "UI", UID_LittleEndianExplicitTransferSyntax) +
        meta_element(0x0012, "UI", uid_from_text("scopenode")) + meta_element(0x0013, "SH", "SCOPENODE");
    return std::string(128, '\0') + "DICM" + meta_element(0x0000, "UL", little_endian(rest.size(), 4)) + rest;
}

Result<std::string> data_bytes(DcmDataset& data) {
    std::string bytes;
    std::vector<char> buffer(1U << 20);
    DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
    data.transferInit();
    for (OFCondition condition = EC_StreamNotifyClient; condition == EC_StreamNotifyClient;) {
        condition = data.write(stream, EXS_LittleEndianExplicit, EET_ExplicitLength, nullptr);
        if (condition.bad() && condition != EC_StreamNotifyClient)
            return fail(Code::kInternal, "DCMTK could not encode a CT slice: {}", condition.text());
        void* full = nullptr;
        offile_off_t length = 0;
        stream.flushBuffer(full, length);
        bytes.append(static_cast<const char*>(full), static_cast<std::size_t>(length));
    }
    data.transferEnd();
    return bytes;
}

}  // namespace

Result<std::string> encode_ct(const CtSlice& slice) {
    SCOPENODE_TRY(check(slice));
    DcmDataset data;
    Writer writer(data);
    put_patient_and_study(writer, slice);
    put_series_and_geometry(writer, slice);
    put_pixels(writer, data, slice);
    if (writer.condition().bad())
        return fail(Code::kInternal, "DCMTK could not build a CT slice: {}", writer.condition().text());
    SCOPENODE_ASSIGN(const auto bytes, data_bytes(data));
    return file_head(slice) + bytes;
}

Status write_ct(const std::filesystem::path& path, const CtSlice& slice) {
    std::error_code ec;
    if (std::filesystem::exists(path, ec)) return fail(Code::kConflict, "{} is there already", path.string());
    SCOPENODE_ASSIGN(const auto bytes, encode_ct(slice));
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) return fail(Code::kIo, "cannot write {}", path.string());
    return {};
}

}  // namespace scopenode::storage
