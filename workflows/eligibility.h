#pragma once
#include <span>
#include <string>
#include <vector>

#include "storage/dicom/header.h"
#include "storage/index/catalog.h"

namespace scopenode::workflows {

/// A series as its headers tell it, in the order of arrival. `header` is null where the file cannot be read.
struct SeriesHeaders {
    struct Slice {
        std::int64_t instance_id = 0;
        const storage::InstanceHeader* header = nullptr;
    };
    std::int64_t series_id = 0;
    std::string series_uid;
    bool own = false;  ///< written by this node
    std::vector<Slice> slices;
};

/// Is it an axial head CT of at least `minimum_slices` slices, and which of its images belong to it? Pure.
storage::Judgement judge_headers(const SeriesHeaders& series, int minimum_slices);

/// Judges the series of one study. At most one stays eligible: the one whose thickness is nearest to 5 mm,
/// then the one with more slices, then the lower series number.
std::vector<storage::Judgement> judge_study(std::span<const SeriesHeaders> study, int minimum_slices);

/// Names a set of instances, whatever their order: sha256 of the sorted UIDs.
std::string set_digest(std::vector<std::string> sop_instance_uids);

/// Unit normal of the image plane with its z upwards (towards the head of the patient); needs an orientation.
std::array<double, 3> upward_normal(const storage::InstanceHeader& header);
/// Place along that normal, mm: grows from caudal to cranial. 0 without position or orientation.
double cranial_mm(const storage::InstanceHeader& header);

/// A CT image that can be scored by itself, whatever its series is.
bool is_ct_slice(const storage::InstanceHeader& header);

}  // namespace scopenode::workflows
