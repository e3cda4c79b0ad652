#pragma once
#include <span>
#include <string>
#include <vector>

#include "storage/dicom/header.h"
#include "storage/index/catalog.h"
#include "workflows/stack_shape.h"
#include "workflows/study.h"

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
    Reason by_pixels = {};  ///< what its pixels say against it, once they were seen; no code: nothing
};

/// Is it an axial head CT of at least `minimum_slices` slices, and which of its images belong to it? Pure. Gaps do
/// not refuse a series unless more than 30 % of the positions are missing or a hole is longer than 20 mm.
storage::Judgement judge_headers(const SeriesHeaders& series, int minimum_slices);

/// Judges the series of one study. At most one stays eligible, by the first of these rules that tells two apart:
///  1. a soft kernel before one for bone or lung,
///  2. no contrast agent before a contrast agent,
///  3. the median thickness that is nearer to 5 mm,
///  4. more slices,
///  5. the lower series number.
/// So a series with contrast agent is read when there is no other soft one, and series_remarks() says so.
std::vector<storage::Judgement> judge_study(std::span<const SeriesHeaders> study, int minimum_slices);

/// The stack that the images of a series make as judged now: evidence of what has not come yet.
StackShape stack_shape(const SeriesHeaders& series);

/// What does not refuse a series and has to be said with its results: GAPS, CONTRAST_AGENT, SHARP_KERNEL. `slices` are
/// its eligible ones; depends on nothing else, so that an attempt after a crash says the same.
std::vector<Reason> series_remarks(std::span<const storage::InstanceHeader* const> slices);

/// Names a set of instances, whatever their order: sha256 of the sorted UIDs.
std::string set_digest(std::vector<std::string> sop_instance_uids);

/// Unit normal of the image plane with its z upwards (towards the head of the patient); needs an orientation.
std::array<double, 3> upward_normal(const storage::InstanceHeader& header);
/// Place along that normal, mm: grows from caudal to cranial. 0 without position or orientation.
double cranial_mm(const storage::InstanceHeader& header);

/// A CT image that can be scored by itself, whatever its series is.
bool is_ct_slice(const storage::InstanceHeader& header);

}  // namespace scopenode::workflows
