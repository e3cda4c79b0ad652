#pragma once
#include <filesystem>

#include "base/core/result.h"

namespace scopenode::dicom_node {

/// Runs the node of a folder until SIGTERM or SIGINT: the one place where its parts are put together.
/// Threads: the DIMSE server's (one an association), the index' writer, three of the study loop, one HTTP,
/// one control; the calling thread waits for the signal. Returns once everything is drained.
Status serve(const std::filesystem::path& node);

}  // namespace scopenode::dicom_node
