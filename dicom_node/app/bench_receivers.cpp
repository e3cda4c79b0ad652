#include "dicom_node/app/bench_receivers.h"

#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/app/loopback.h"
#include "dicom_node/app/node_folder.h"
#include "storage/dicom/ct_writer.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;
constexpr auto kReadyTime = std::chrono::seconds(60);
constexpr int kSize = 512;

Result<Receiver> start_node(const fs::path& folder, const ChildProcess::Environment& environment,
                            const std::vector<std::string>& more) {
    const std::string program = own_program().string();
    const fs::path node = folder / "node", log = folder / "log";
    std::vector<std::string> words = {program,       "init", node.string(), "--dimse-port", "0",
                                      "--http-port", "0"};
    words.insert(words.end(), more.begin(), more.end());
    SCOPENODE_ASSIGN(auto made, ChildProcess::start(words, environment, log));
    if (made.wait() != 0) return fail(Code::kInternal, "init failed: see {}", log.string());
    SCOPENODE_ASSIGN(auto child, ChildProcess::start({program, "serve", node.string()}, environment, log));
    const fs::path ready = ready_file(node);
    if (!await([&] { return fs::exists(ready) || !child.alive(); }, kReadyTime) || !child.alive())
        return fail(Code::kTimeout, "the node did not get ready: see {}", log.string());
    SCOPENODE_ASSIGN(const auto text, read_file(ready));
    const auto ports = nlohmann::json::parse(text);
    return Receiver{
        "scopenode", "SCOPENODE",     ports.at("dimse_port").get<int>(), ports.at("http_port").get<int>(),
        node,        std::move(child)};
}

std::vector<std::string> orthanc_words(const fs::path& folder, int port, int http_port) {
    // As installed, but for its own folder, ports and AE title.
    const nlohmann::json settings = {{"StorageDirectory", (folder / "objects").string()},
                                     {"IndexDirectory", (folder / "objects").string()},
                                     {"HttpPort", http_port},
                                     {"DicomPort", port},
                                     {"DicomAet", "PACS"},
                                     {"Plugins", nlohmann::json::array()}};
    const fs::path file = folder / "orthanc.json";
    (void)write_file(real_files(), file, settings.dump(2));
    return {"Orthanc", file.string()};
}

Result<Receiver> start_other(ReceiverKind kind, const fs::path& folder,
                             const ChildProcess::Environment& environment) {
    const int port = free_port(), http_port = free_port();
    const fs::path log = folder / "log", objects = folder / "objects";
    fs::create_directories(objects);
    const auto words =
        kind == ReceiverKind::kOrthanc
            ? orthanc_words(folder, port, http_port)
            : std::vector<std::string>{"storescp",          "--fork", "-od", objects.string(), "-aet", "PACS",
                                       std::to_string(port)};
    SCOPENODE_ASSIGN(auto child, ChildProcess::start(words, environment, log));
    if (!await([&] { return port_accepts(port) || !child.alive(); }, kReadyTime) || !child.alive())
        return fail(Code::kTimeout, "{} did not get ready: see {}", words.front(), log.string());
    return Receiver{receiver_name(kind), "PACS", port, http_port, objects, std::move(child)};
}

}  // namespace

const char* receiver_name(ReceiverKind kind) {
    if (kind == ReceiverKind::kNode) return "scopenode";
    return kind == ReceiverKind::kOrthanc ? "orthanc" : "storescp";
}

std::string missing_program(ReceiverKind kind) {
    if (kind == ReceiverKind::kNode) return {};
    const std::string name = kind == ReceiverKind::kOrthanc ? "Orthanc" : "storescp";
    return find_program(name).empty() ? name : "";
}

Result<Receiver> start_receiver(ReceiverKind kind, const fs::path& folder,
                                const ChildProcess::Environment& environment,
                                const std::vector<std::string>& init_words) {
    return guard(Code::kInternal, [&]() -> Result<Receiver> {
        fs::create_directories(folder);
        if (kind == ReceiverKind::kNode) return start_node(folder, environment, init_words);
        return start_other(kind, folder, environment);
    });
}

fs::path own_program() {
    return fs::read_symlink("/proc/self/exe");
}

Result<std::vector<std::string>> make_bench_slices(const fs::path& folder, int count) {
    fs::create_directories(folder);
    const std::string study = random_uid();
    std::vector<std::string> files;
    std::vector<std::int32_t> raw(static_cast<std::size_t>(kSize) * kSize);
    std::uint32_t state = 1;
    for (int i = 0; i < count; ++i) {
        for (auto& value : raw) {
            state = state * 1664525u + 1013904223u;
            value = 1024 + static_cast<std::int32_t>(state >> 25);
        }
        storage::CtSlice slice;
        slice.patient_id = "BENCH";
        slice.patient_name = "BENCH^RECEIVE";
        slice.study_uid = study;
        slice.study_date = "20260101";
        slice.study_time = "120000";
        slice.series_uid = uid_from_text(study + " series");
        slice.series_description = "HEAD AXIAL";
        slice.frame_of_reference_uid = uid_from_text(study + " frame");
        slice.sop_instance_uid = uid_from_text(fmt::format("{} {}", study, i));
        slice.instance_number = std::to_string(i + 1);
        slice.rows = slice.columns = kSize;
        slice.position_mm = {0, 0, static_cast<double>(i)};
        slice.raw = raw;
        files.push_back((folder / fmt::format("{:05}.dcm", i)).string());
        SCOPENODE_TRY(storage::write_ct(files.back(), slice));
    }
    return files;
}

Result<double> feed(const Receiver& receiver, const std::vector<std::string>& files, int senders,
                    const ChildProcess::Environment& environment, const fs::path& log) {
    std::vector<std::vector<std::string>> words(
        static_cast<std::size_t>(senders),
        {"storescu", "-aec", receiver.ae_title, "127.0.0.1", std::to_string(receiver.port)});
    for (std::size_t i = 0; i < files.size(); ++i) words[i % words.size()].push_back(files[i]);
    const auto begin = std::chrono::steady_clock::now();
    std::vector<ChildProcess> children;
    for (const auto& argv : words) {
        SCOPENODE_ASSIGN(auto child, ChildProcess::start(argv, environment, log));
        children.push_back(std::move(child));
    }
    bool all = true;
    for (auto& child : children) all = child.wait() == 0 && all;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (!all)
        return fail(Code::kPeerRefused, "{} did not take every object: see {}", receiver.name, log.string());
    return seconds.count();
}

}  // namespace scopenode::dicom_node
