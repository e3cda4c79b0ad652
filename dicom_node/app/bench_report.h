#pragma once
#include <string>

#include "base/core/result.h"

namespace scopenode::dicom_node {

struct ReportBench {
    int slices = 40;
    double rate = 20;  ///< slices a second; 0: as fast as it goes
    bool one_line = false;
};
/// JSON: milliseconds from the last acknowledged slice (and the word that the study is complete) to the report in a
/// storescp, and from the node's own records when each step on the way was done; with the built-in model and a
/// phantom study.
Result<std::string> bench_report(const ReportBench& options);

}  // namespace scopenode::dicom_node
