#pragma once
#include <vector>

#include "storage/index/feedback.h"
#include "workflows/feedback/amended_report.h"

namespace scopenode::workflows {

/// The results that a document could answer, from the index.
struct Candidates {
    std::vector<KnownResult> results;
    std::vector<int> revisions;        ///< of the results, in their order
    std::vector<KnownAnswer> earlier;  ///< answers that it names as predecessors
    std::int64_t newest_result = 0;    ///< of the whole index
};
Result<Candidates> candidates_for(storage::Connection& db, const AmendedReport& report);

}  // namespace scopenode::workflows
