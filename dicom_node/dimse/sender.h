#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "config/settings.h"
#include "workflows/ports.h"

namespace scopenode::dicom_node {

/// SCU of results and of their Storage Commitment. See workflows::ConnectPeer.
Result<std::unique_ptr<workflows::PeerAssociation>> connect_peer(const std::string& calling_ae,
                                                                 const config::Destination& peer,
                                                                 const std::vector<std::string>& sop_classes);
/// N-EVENT-REPORT on an association of our own. See workflows::ReportCommitment.
Status report_commitment(const std::string& calling_ae, const config::Destination& peer,
                         const storage::CommitmentNotice& report);

/// `scopenode send`: many files over one association, in their own transfer syntaxes. A peer that cannot be reached
/// is an error that tells how many were sent before.
struct SendReport {
    int sent = 0;
    int passed_over = 0;                  ///< found in a folder and no DICOM objects
    std::vector<std::string> failures;    ///< one line a file
};
struct SendOptions {
    std::string calling_ae = "SCOPENODE";
    int timeout_seconds = 30;
    std::set<std::filesystem::path> found;    ///< files that nobody named: passed over when they are no DICOM objects
    std::function<void(std::size_t done, std::size_t total)> on_progress;
};
Result<SendReport> send_files(const config::Destination& peer, const std::vector<std::filesystem::path>& files,
                              const SendOptions& options);

}  // namespace scopenode::dicom_node
