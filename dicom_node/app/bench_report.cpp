#include "dicom_node/app/bench_report.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "dicom_node/app/bench_receivers.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"
#include "dicom_node/control/control.h"
#include "workflows/analysis.h"
#include "workflows/node.h"
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
        analysis.slices.push_back(
            workflows::analysed_slice(analysis.header, {{0.9f, 0.1f, 0.9f, 0.1f, 0.9f, 0.1f}}));
    }
    analysis.series_uid = analysis.header.series_uid;
    workflows::conclude(analysis, *model, false);
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

UtcMs parse_time(const nlohmann::json& text) {
    std::tm parts{};
    const std::string iso = text.get<std::string>();
    strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    return UtcMs{1000} * timegm(&parts) + std::stoi(iso.substr(iso.find('.') + 1, 3));
}

/// When each step of a study was done, in ms after its last object was durable: from the node's own records.
Result<nlohmann::json> steps(const fs::path& node, const std::string& study_uid) {
    const SystemClock clock;
    SCOPENODE_ASSIGN(const auto index, open_reader(node, clock));
    SCOPENODE_ASSIGN(const auto text, workflows::studies_why(*index, study_uid, true));
    const auto why = nlohmann::json::parse(text);
    const UtcMs begin = parse_time(why["last_received"]);
    const auto after = [&](const nlohmann::json& time) { return parse_time(time) - begin; };
    nlohmann::json out;
    for (const auto& evidence : why["evidence"])
        if (evidence["decided"] == true) out["complete"] = after(evidence["time"]);
    out["work_begun"] = after(why["jobs"].back()["started"]);
    out["report_stored"] = after(why["results"].front()["created"]);
    out["report_delivered"] = after(why["deliveries"].front()["sent"]);
    return out;
}

bool delivered(const fs::path& node, const std::string& study_uid) {
    const SystemClock clock;
    const auto index = open_reader(node, clock);
    if (!index) return false;
    const auto text = workflows::studies_why(**index, study_uid, true);
    if (!text) return false;
    const auto why = nlohmann::json::parse(*text);
    return !why["deliveries"].empty() && why["deliveries"].front()["state"] == "sent";
}

}  // namespace

Result<std::string> bench_report(const ReportBench& options) {
    return guard(Code::kInternal, [&]() -> Result<std::string> {
        const TemporaryFolder folder;
        const ChildProcess::Environment environment = {{"TCP_NODELAY", "1"}};
        SCOPENODE_ASSIGN(const auto phantom, make_phantom(folder.path() / "phantom", options.slices));
        SCOPENODE_ASSIGN(auto pacs,
                         start_receiver(ReceiverKind::kStorescp, folder.path() / "pacs", environment));
        SCOPENODE_ASSIGN(auto node, start_receiver(ReceiverKind::kNode, folder.path() / "own", environment,
                                                   {"--quiet", "3600", "--destination",
                                                    fmt::format("PACS=PACS@127.0.0.1:{}", pacs.port)}));
        const auto begin_send = std::chrono::steady_clock::now();
        SCOPENODE_TRY(run_to_end(
            {own_program().string(), "send", fmt::format("{}@127.0.0.1:{}", node.ae_title, node.port),
             (folder.path() / "phantom").string(), "--rate", std::to_string(options.rate)},
            folder.path() / "send.log"));
        const auto begin = std::chrono::steady_clock::now();
        SCOPENODE_ASSIGN(const auto said, ask_node(node.folder, {"studies", "complete", phantom.study_uid}));
        if (!await([&] { return holds_file(pacs.folder); }, kReportTime))
            return fail(Code::kTimeout, "no report came");
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
        if (!await([&] { return delivered(node.folder, phantom.study_uid); }, kReportTime))
            return fail(Code::kTimeout, "the delivery was not recorded");
        SCOPENODE_ASSIGN(const double encoding, encoding_ms(phantom.files));
        SCOPENODE_ASSIGN(const auto step, steps(node.folder, phantom.study_uid));
        const nlohmann::json out = {
            {"slices", options.slices},
            {"slices_per_second", options.rate},
            {"report_encoding_ms", encoding},
            {"send_seconds", std::chrono::duration<double>(begin - begin_send).count()},
            {"last_slice_to_report_ms", took.count()},
            {"ms_after_last_slice", step},
            {"node_resident_mib", node.child.resident_mib()}};
        return out.dump(options.one_line ? -1 : 2);
    });
}

}  // namespace scopenode::dicom_node
