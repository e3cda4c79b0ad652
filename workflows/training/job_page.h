#pragma once
#include <span>

#include "ml/manifest.h"
#include "storage/index/trainings.h"
#include "workflows/training/retraining.h"
#include "workflows/training/training_page.h"

namespace scopenode::workflows {

/// What the committee is shown of a job, from what the job has recorded.
struct JobRecords {
    const storage::TrainingRow& row;
    const Champion& champion;
    const ml::Manifest& candidate;
    const Snapshot& snapshot;
    std::span<const storage::TrainingEpochRow> epochs;
};
TrainingPage page_of(const JobRecords& records, const GateInput& input, const Verdict& verdict, UtcMs now);

}  // namespace scopenode::workflows
