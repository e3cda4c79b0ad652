#include "workflows/not_eligible.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>

#include <algorithm>

#include "base/core/ids.h"
#include "workflows/feedback/feedback.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

std::string series_name(const SeriesRow& series) {
    std::string name = "Series " + (series.series_number.empty() ? series.series_uid : series.series_number);
    if (!series.description.empty()) name += " (" + series.description + ")";
    return name;
}

/// The table of reasons has the order in which they are looked for: a later one is nearer to being eligible.
Result<std::vector<SeriesRow>> refused_series(Connection& db, std::int64_t study_id) {
    SCOPENODE_ASSIGN(auto all, series_of(db, study_id));
    std::erase_if(all, [](const SeriesRow& s) { return s.own || !s.judged || s.eligible; });
    std::stable_sort(all.begin(), all.end(), [](const SeriesRow& a, const SeriesRow& b) {
        return rank(a.reason_code) > rank(b.reason_code);
    });
    return all;
}

bool can_be_named(const InstanceRow& image) {
    return image.reason_code != reasons::kUnreadable && is_legal_uid(image.sop_instance_uid) &&
           is_legal_uid(image.sop_class_uid) && dcmIsImageStorageSOPClassUID(image.sop_class_uid.c_str());
}

}  // namespace

Result<std::vector<Reason>> series_reasons(Connection& db, std::int64_t study_id) {
    SCOPENODE_ASSIGN(const auto all, refused_series(db, study_id));
    std::vector<Reason> reasons;
    for (const SeriesRow& series : all)
        reasons.push_back({series.reason_code, series_name(series) + ": " + series.reason_text});
    return reasons;
}

Result<std::optional<Witness>> witness_of(Connection& db, const StudyRow& study) {
    SCOPENODE_ASSIGN(const auto all, refused_series(db, study.id));
    const bool mixed = std::any_of(all.begin(), all.end(), [](const SeriesRow& series) {
        return series.reason_code == reasons::kIdentityMismatch;
    });
    std::optional<Witness> best;
    if (mixed || !is_legal_uid(study.study_uid)) return best;
    for (const SeriesRow& series : all) {
        if (!is_legal_uid(series.series_uid)) continue;
        SCOPENODE_ASSIGN(const auto images, instances_of(db, series.id));
        for (const InstanceRow& image : images) {
            if (!can_be_named(image)) continue;
            const bool is_ct = may_be_slice(image.sop_class_uid);
            if (is_ct || !best) best = Witness{image, series.series_uid};
            if (is_ct) return best;
        }
    }
    return best;
}

}  // namespace scopenode::workflows
