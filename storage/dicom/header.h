#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace scopenode::storage {

/// What the node reads from an instance besides pixels. Text is UTF-8, trimmed; absent is "" or nothing.
struct InstanceHeader {
    // patient
    std::string patient_id, patient_id_issuer, patient_name, birth_date, sex;
    // study
    std::string study_uid, study_date, study_time, study_id, accession_number, study_description, referring_physician;
    // series
    std::string series_uid, series_description, modality, body_part, frame_of_reference_uid, series_number;
    std::string manufacturer, model_name, station_name, convolution_kernel, contrast_agent, protocol_name;
    // instance
    std::string sop_class_uid, sop_instance_uid, transfer_syntax_uid;
    std::string instance_number, acquisition_number;
    std::vector<std::string> image_type;
    int rows = 0, columns = 0, frames = 1;
    std::optional<double> slice_thickness_mm, gantry_tilt_degrees;
    std::optional<double> rescale_slope, rescale_intercept;           ///< nothing: absent or no number
    std::optional<std::array<double, 2>> pixel_spacing_mm;            ///< row spacing, column spacing
    std::optional<std::array<double, 6>> orientation;                 ///< (0020,0037)
    std::optional<std::array<double, 3>> position_mm;                 ///< (0020,0032)
    bool has_pixels = false;
    bool has_rsna_quirk = false;                                      ///< see storage/dicom/rescale.h
    int study_objects = 0;                                            ///< (0020,1208), 0 when absent
    std::string requested_priority;                                   ///< (0040,1003), of a request too; else (0032,000C)
    std::string timezone_offset;                                      ///< (0008,0201) or ""
};

/// Reads a DICOM file up to its pixel data. kCannotUnderstand when it is not DICOM, truncated before the pixels
/// or lacks the UIDs; never throws. A file without meta header is tried as bare data set.
Result<InstanceHeader> read_header(const std::filesystem::path& file);

/// Distance along the normal of the slices, mm; nothing without position and orientation.
std::optional<double> normal_position_mm(const InstanceHeader& header);

/// Must be true before any association is opened (DCMTK carries on half-working without its dictionary).
bool dictionary_is_loaded();
/// Registers the JPEG, JPEG-LS and RLE decoders for the life of the object; one in main.
class Codecs {
  public:
    Codecs();
    ~Codecs();
    Codecs(const Codecs&) = delete;
    Codecs& operator=(const Codecs&) = delete;
};

}  // namespace scopenode::storage
