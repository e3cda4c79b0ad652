#include "dicom_node/app/bench_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/app/bench_receivers.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "workflows/analysis.h"
#include "workflows/results/report.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;
constexpr auto kReportTime = std::chrono::seconds(600);

Status run_to_end(const std::vector<std::string>& argv, const fs::path& log) {
    SCOPENODE_ASSIGN(auto child, ChildProcess::start(argv, {}, log));
    if (child.wait() == 0) return {};
    const auto said = read_file(log);
    return fail(Code::kInternal, "{} {} failed: {}", argv.at(0), argv.at(1), said ? *said : "");
}

/// A phantom study: its folder's name is its study UID.
struct Phantom {
    std::string study_uid;
    std::vector<std::string> files;
};
Result<Phantom> make_phantom(const fs::path& folder, int slices) {
    SCOPENODE_TRY(run_to_end({own_program().string(), "phantom", folder.string(), "--studies", "1",
                              "--slices", std::to_string(slices), "--positive-rate", "1"},
                             folder.string() + ".log"));
    SCOPENODE_ASSIGN(const auto table, read_file(folder / "studies.csv"));
    const auto line = table.find('\n') + 1;
    Phantom phantom{table.substr(line, table.find(',', line) - line), {}};
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.path().extension() == ".dcm") phantom.files.push_back(entry.path().string());
    std::ranges::sort(phantom.files);
    return phantom;
}

/// Building and encoding the report of these slices: median of twenty times, in ms.
Result<double> encoding_ms(const std::vector<std::string>& files) {
    SCOPENODE_ASSIGN(const auto bytes, embedded_model());
    SCOPENODE_ASSIGN(const auto model, ml::Model::load(bytes, {}));
    workflows::StudyAnalysis analysis;
    for (const std::string& file : files) {
        SCOPENODE_ASSIGN(analysis.header, storage::read_header(file));
        analysis.slices.push_back(workflows::analysed_slice(analysis.header, {0.9f, 0.1f, 0.9f, 0.1f, 0.9f, 0.1f}));
    }
    analysis.series_uid = analysis.header.series_uid;
    workflows::conclude(analysis, *model);
    workflows::ReportContext context;
    context.node_uid = random_uid();
    context.program_version = program_version();
    context.station_ae = "SCOPENODE";
    context.time_zone = "UTC";
    std::vector<double> times(20);
    for (double& time : times) {
        const auto begin = std::chrono::steady_clock::now();
        SCOPENODE_ASSIGN(const auto report, workflows::encode_report(analysis, context));
        time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    }
    std::ranges::sort(times);
    return times[times.size() / 2];
}

bool holds_file(const fs::path& folder) {
    return fs::directory_iterator(folder) != fs::directory_iterator();
}

}  // namespace

Result<std::string> bench_report(int slices, bool one_line) {
    return guard(Code::kInternal, [&]() -> Result<std::string> {
        const TemporaryFolder folder;
        const ChildProcess::Environment environment = {{"TCP_NODELAY", "1"}};
        SCOPENODE_ASSIGN(const auto phantom, make_phantom(folder.path() / "phantom", slices));
        SCOPENODE_ASSIGN(auto pacs,
                         start_receiver(ReceiverKind::kStorescp, folder.path() / "pacs", environment));
        SCOPENODE_ASSIGN(auto node, start_receiver(ReceiverKind::kNode, folder.path() / "own", environment,
                                                   {"--quiet", "3600", "--destination",
                                                    fmt::format("PACS=PACS@127.0.0.1:{}", pacs.port)}));
        SCOPENODE_ASSIGN(const auto received,
                         feed(node, phantom.files, 1, environment, folder.path() / "scu.log"));
        const auto begin = std::chrono::steady_clock::now();
        SCOPENODE_TRY(run_to_end({own_program().string(), "studies", "complete", phantom.study_uid, "--node",
                                  node.folder.string()},
                                 folder.path() / "complete.log"));
        if (!await([&] { return holds_file(pacs.folder); }, kReportTime))
            return fail(Code::kTimeout, "no report came");
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
        SCOPENODE_ASSIGN(const double encoding, encoding_ms(phantom.files));
        const nlohmann::json out = {{"slices", slices},
                                    {"report_encoding_ms", encoding},
                                    {"receive_seconds", received},
                                    {"last_slice_to_report_ms", took.count()},
                                    {"node_resident_mib", node.child.resident_mib()}};
        return out.dump(one_line ? -1 : 2);
    });
}

}  // namespace scopenode::dicom_node
