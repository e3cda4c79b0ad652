#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"
#include "workflows/ports.h"

namespace scopenode::dicom_node {

/// C-STORE SCU: one object, one association (results to a destination). See workflows::SendObject.
Status send_object(const std::string& calling_ae, const config::Destination& peer, const workflows::SendItem& item);

/// `scopenode send`: many files over one association, in their own transfer syntaxes.
struct SendReport {
    int sent = 0;
    std::vector<std::string> failures;    ///< one line a file
};
struct SendOptions {
    std::string calling_ae = "SCOPENODE";
    int timeout_seconds = 30;
    std::function<void(std::size_t done, std::size_t total)> on_progress;
};
Result<SendReport> send_files(const config::Destination& peer, const std::vector<std::filesystem::path>& files,
                              const SendOptions& options);

}  // namespace scopenode::dicom_node
