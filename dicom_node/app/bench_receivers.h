#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/child_process.h"

namespace scopenode::dicom_node {

/// A program that takes objects by C-STORE, as a child with its own folder and ports.
struct Receiver {
    std::string name, ae_title;
    int port = 0, http_port = 0;
    std::filesystem::path folder;
    ChildProcess child;
};
enum class ReceiverKind { kNode, kStorescp, kOrthanc };
const char* receiver_name(ReceiverKind kind);
/// "" when it is installed, else what is missing.
std::string missing_program(ReceiverKind kind);
/// Starts it in a new folder and waits until it takes associations. `init_words` go to a node's `init`.
Result<Receiver> start_receiver(ReceiverKind kind, const std::filesystem::path& folder,
                                const ChildProcess::Environment& environment,
                                const std::vector<std::string>& init_words = {});

/// This program.
std::filesystem::path own_program();
/// `count` CT slices of 512 x 512 in a new folder; their paths.
Result<std::vector<std::string>> make_bench_slices(const std::filesystem::path& folder, int count);
/// `senders` storescu processes in parallel, all files once; seconds. Fails unless all were acknowledged.
Result<double> feed(const Receiver& receiver, const std::vector<std::string>& files, int senders,
                    const ChildProcess::Environment& environment, const std::filesystem::path& log);

}  // namespace scopenode::dicom_node
