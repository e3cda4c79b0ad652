#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/core/result.h"

namespace scopenode::storage {

/// One axial CT slice to be written. Text is ASCII; empty optional fields are written empty or left out, as
/// the CT Image IOD asks.
struct CtSlice {
    std::string patient_id, patient_name, birth_date, sex;
    std::string study_uid, study_date, study_time, study_id, accession_number, study_description;
    std::string series_uid, series_number = "1", series_description, protocol_name, frame_of_reference_uid;
    std::string manufacturer, model_name, station_name, convolution_kernel;
    std::string sop_instance_uid, instance_number = "1";
    std::string kvp = "120";

    int rows = 0, columns = 0;
    double pixel_mm = 0.45, slice_mm = 5;
    double gantry_tilt_degrees = 0;
    std::array<double, 6> orientation{1, 0, 0, 0, 1, 0};
    std::array<double, 3> position_mm{};

    bool is_signed = true;
    int bits_stored = 16;            ///< 16 allocated, high bit one less
    int intercept = -1024;           ///< HU = raw + intercept
    std::optional<int> padding_raw;  ///< PixelPaddingValue
    std::span<const std::int32_t>
        raw;  ///< rows * columns stored values, within the range of the fields above
};

/// A CT Image Storage file, Explicit VR Little Endian. The same slice gives the same bytes: no clock, nothing
/// random.
Result<std::string> encode_ct(const CtSlice& slice);
/// Refuses to replace a file. Not synced: these are files that a command can make again.
Status write_ct(const std::filesystem::path& path, const CtSlice& slice);

}  // namespace scopenode::storage
