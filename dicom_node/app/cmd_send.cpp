#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "base/core/progress.h"
#include "config/settings.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/dimse/sender.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;

struct Wanted {
    std::string peer, calling_ae = "SCOPENODE";
    std::vector<std::string> paths;
    int timeout_seconds = 30;
    double rate = 0;  ///< objects a second; 0: as fast as it goes
};

Result<std::vector<fs::path>> files_of(const std::vector<std::string>& paths, std::set<fs::path>& found) {
    return guard(Code::kIo, [&]() -> Result<std::vector<fs::path>> {
        std::vector<fs::path> files;
        for (const fs::path path : paths) {
            if (!fs::exists(path)) return fail(Code::kNotFound, "{} does not exist", path.string());
            if (!fs::is_directory(path)) {
                files.push_back(path);
                continue;
            }
            std::vector<fs::path> inside;
            for (const auto& entry : fs::recursive_directory_iterator(path))
                if (entry.is_regular_file()) inside.push_back(entry.path());
            std::ranges::sort(inside);
            files.insert(files.end(), inside.begin(), inside.end());
            found.insert(inside.begin(), inside.end());
        }
        if (files.empty()) return fail(Code::kNotFound, "no files to send");
        return files;
    });
}

Status send(const Wanted& wanted) {
    SCOPENODE_ASSIGN(const auto peer, config::parse_peer(wanted.peer));
    if (!config::is_legal_ae_title(wanted.calling_ae))
        return fail(Code::kInvalidArgument, "'{}' is not an AE title", wanted.calling_ae);
    SendOptions options;
    SCOPENODE_ASSIGN(const auto files, files_of(wanted.paths, options.found));
    Progress progress("sending", files.size());
    options.calling_ae = wanted.calling_ae;
    options.timeout_seconds = wanted.timeout_seconds;
    const auto begin = std::chrono::steady_clock::now();
    options.on_progress = [&](std::size_t done, std::size_t total) {
        progress.advance(done);
        if (wanted.rate > 0 && done < total)
            std::this_thread::sleep_until(
                begin + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(static_cast<double>(done) / wanted.rate)));
    };
    SCOPENODE_ASSIGN(const auto report, send_files(peer, files, options));
    progress.finish();
    for (const auto& line : report.failures) fmt::print(stderr, "scopenode: {}\n", line);
    const std::size_t objects = files.size() - static_cast<std::size_t>(report.passed_over);
    fmt::print(
        "{} of {} sent{}\n", report.sent, objects,
        report.passed_over == 0 ? "" : fmt::format(", {} without DICOM passed over", report.passed_over));
    if (!report.failures.empty())
        return fail(Code::kPeerRefused, "{} of {} files were not sent", report.failures.size(), objects);
    if (report.sent == 0) return fail(Code::kNotFound, "nothing to send: no DICOM object was found");
    return {};
}

}  // namespace

void add_send_command(CLI::App& app, int& exit_code) {
    CLI::App* command = app.add_subcommand("send", "Send DICOM files or folders by C-STORE");
    auto wanted = std::make_shared<Wanted>();
    command->add_option("PEER", wanted->peer, "AET@HOST:PORT")->required();
    command->add_option("PATH", wanted->paths, "Files or folders")->required();
    command->add_option("--calling-ae", wanted->calling_ae, "Our AE title")->capture_default_str();
    command->add_option("--timeout", wanted->timeout_seconds, "Seconds to wait for the peer")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    command
        ->add_option("--rate", wanted->rate,
                     "Objects a second, as a modality makes them; 0: as fast as it goes")
        ->check(CLI::Range(0.0, 10000.0));
    command->callback([wanted, &exit_code] {
        const Status done = send(*wanted);
        exit_code = done ? 0 : report(done.error());
    });
}

}  // namespace scopenode::dicom_node
