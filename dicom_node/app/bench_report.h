#pragma once
#include <string>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// JSON: milliseconds from the last acknowledged slice (and `studies complete`) to the report in a storescp,
/// with the built-in model and a phantom study of `slices` slices.
Result<std::string> bench_report(int slices, bool one_line);

}  // namespace scopenode::dicom_node
