#pragma once
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "storage/dicom/ct_writer.h"

namespace scopenode::test {

/// A small axial head CT. The grey value of slice i is grey + 10 * i HU, everywhere or within a skull.
struct SmallStudy {
    std::string patient_id = "P1", patient_name = "DOE^JANE";
    std::string study_uid = "2.25.1001", series_uid = "2.25.1002", series_number = "2";
    std::string series_description = "AXIAL 5MM";
    double slice_mm = 5;
    int size = 64;
    int grey = 0;
    bool is_head = false;          ///< drawn as one: skull, skin and air around the grey value
    std::optional<int> quirk_raw;  ///< all pixels this, in 12 unsigned bits with intercept 0: the RSNA quirk

    std::string sop_instance_uid(int i) const { return series_uid + "." + std::to_string(i + 1); }

    /// Bytes of slice `i`, at i * slice_mm.
    Result<std::string> slice(int i) const {
        storage::CtSlice s;
        s.patient_id = patient_id;
        s.patient_name = patient_name;
        s.birth_date = "19700101";
        s.sex = "F";
        s.study_uid = study_uid;
        s.study_date = "20260102";
        s.study_time = "101112";
        s.study_id = "1";
        s.series_uid = series_uid;
        s.series_number = series_number;
        s.series_description = series_description;
        s.frame_of_reference_uid = "2.25.1003";
        s.sop_instance_uid = sop_instance_uid(i);
        s.instance_number = std::to_string(i + 1);
        s.rows = s.columns = size;
        s.slice_mm = slice_mm;
        s.position_mm = {0, 0, i * slice_mm};
        if (quirk_raw) {
            s.is_signed = false;
            s.bits_stored = 12;
            s.intercept = 0;
        }
        std::vector<std::int32_t> raw(static_cast<std::size_t>(size * size),
                                      quirk_raw.value_or(1024 + grey + 10 * i));
        if (is_head) {
            s.pixel_mm = 200.0 / size;
            for (int k = 0; k < size * size; ++k) {
                const double x = 2.0 * (k % size) / size - 1, y = 2.0 * (k / size) / size - 1;
                const double r = std::sqrt(x * x + y * y);
                if (r > 0.7)
                    raw[static_cast<std::size_t>(k)] = r < 0.82 ? 1024 + 900 : r < 0.9 ? 1024 + 40 : 24;
            }
        }
        s.raw = raw;
        return storage::encode_ct(s);
    }
};

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace scopenode::test
