#pragma once
#include <string>

#include "base/core/result.h"
#include "dicom_node/dimse/server.h"
#include "ml/model.h"
#include "storage/index/database.h"
#include "workflows/node.h"

namespace scopenode::dicom_node {

/// What /metrics is made of; everything outlives the text.
struct MetricsSources {
    const DimseServer& dimse;
    storage::Index& index;
    const workflows::StudyLoop& loop;
    const ml::Model& model;
};
/// Prometheus text format 0.0.4.
Result<std::string> metrics_text(const MetricsSources& sources);

}  // namespace scopenode::dicom_node
