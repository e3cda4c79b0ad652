#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/core/files.h"
#include "base/core/progress.h"
#include "dicom_node/app/bench_receivers.h"
#include "dicom_node/app/bench_report.h"
#include "dicom_node/app/commands.h"
#include "dicom_node/app/node_folder.h"

namespace scopenode::dicom_node {
namespace {

using nlohmann::json;

struct ReceiveOptions {
    int objects = 400, rounds = 5, associations = 1;
    bool nagle = false, as_json = false;
};

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}
double rounded(double value) {
    return std::round(value * 100) / 100;
}

/// Rates of all receivers in alternating rounds, and the node's resident memory.
struct Measured {
    std::map<std::string, std::vector<double>> rates;
    std::vector<std::string> missing;
    double idle_mib = 0, loaded_mib = 0;
};

/// The largest resident memory of a process while this object lives, looked at every 20 ms.
class MemoryWatch {
  public:
    explicit MemoryWatch(const ChildProcess& child)
        : thread_([this, &child](const std::stop_token& stop) {
              std::mutex mutex;
              std::unique_lock lock(mutex);
              while (!stop.stop_requested()) {
                  most_ = std::max(most_, child.resident_mib());
                  wake_.wait_for(lock, stop, std::chrono::milliseconds(20), [] { return false; });
              }
          }) {}
    double end() {
        thread_.request_stop();
        thread_.join();
        return most_;
    }

  private:
    double most_ = 0;  ///< of the thread until it has ended
    std::condition_variable_any wake_;
    std::jthread thread_;
};

Status one_round(const ReceiveOptions& options, ReceiverKind kind, const std::filesystem::path& folder,
                 const std::vector<std::string>& files, Measured& measured) {
    const ChildProcess::Environment environment = {{"TCP_NODELAY", options.nagle ? "" : "1"}};
    SCOPENODE_ASSIGN(auto receiver, start_receiver(kind, folder, environment));
    if (kind == ReceiverKind::kNode)
        measured.idle_mib = std::max(measured.idle_mib, receiver.child.resident_mib());
    MemoryWatch memory(receiver.child);
    SCOPENODE_ASSIGN(const auto seconds,
                     feed(receiver, files, options.associations, environment, folder / "storescu.log"));
    if (kind == ReceiverKind::kNode) measured.loaded_mib = std::max(measured.loaded_mib, memory.end());
    measured.rates[receiver.name].push_back(static_cast<double>(files.size()) / seconds);
    return {};
}

json summary(const ReceiveOptions& options, const Measured& measured) {
    json out = {{"objects", options.objects},
                {"rounds", options.rounds},
                {"associations", options.associations},
                {"sender_nagle", options.nagle},
                {"not_installed", measured.missing},
                {"node_resident_mib",
                 {{"idle", rounded(measured.idle_mib)}, {"most_under_load", rounded(measured.loaded_mib)}}}};
    for (const auto& [name, rates] : measured.rates) {
        out["objects_per_second"][name] = rounded(median(rates));
        for (const double rate : rates) out["all_rounds"][name].push_back(rounded(rate));
    }
    const auto own = measured.rates.find("scopenode");
    for (const auto& [name, rates] : measured.rates)
        if (name != "scopenode" && own != measured.rates.end())
            out["ratio"][name] = rounded(median(own->second) / median(rates));
    return out;
}

Result<std::string> bench_receive(const ReceiveOptions& options) {
    if (find_program("storescu").empty())
        return fail(Code::kNotFound, "storescu is not installed (package dcmtk)");
    const TemporaryFolder folder;
    SCOPENODE_ASSIGN(const auto files, make_bench_slices(folder.path() / "slices", options.objects));
    Measured measured;
    std::vector<ReceiverKind> kinds;
    for (const auto kind : {ReceiverKind::kNode, ReceiverKind::kStorescp, ReceiverKind::kOrthanc}) {
        const std::string missing = missing_program(kind);
        if (missing.empty())
            kinds.push_back(kind);
        else
            measured.missing.push_back(missing);
    }
    Progress progress("bench receive", static_cast<std::uint64_t>(options.rounds) * kinds.size());
    std::uint64_t done = 0;
    for (int round = 0; round < options.rounds; ++round)
        for (const auto kind : kinds) {
            SCOPENODE_TRY(one_round(options, kind,
                                    folder.path() / fmt::format("{}-{}", receiver_name(kind), round), files,
                                    measured));
            progress.advance(++done, receiver_name(kind));
        }
    progress.finish();
    return summary(options, measured).dump(options.as_json ? -1 : 2);
}

}  // namespace

void add_bench_command(CLI::App& app, int& exit_code) {
    CLI::App* bench = app.add_subcommand("bench", "Measure this program");
    bench->require_subcommand(1);
    auto options = std::make_shared<ReceiveOptions>();
    CLI::App* receive = bench->add_subcommand("receive", "Receive rate beside storescp and Orthanc, as JSON");
    receive->add_option("--objects", options->objects)->check(CLI::Range(1, 1000000))->capture_default_str();
    receive->add_option("--rounds", options->rounds)->check(CLI::Range(1, 1000))->capture_default_str();
    receive->add_option("--associations", options->associations)
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    receive->add_flag("--nagle", options->nagle,
                      "Leave Nagle's algorithm on at the senders and the other receivers");
    receive->add_flag("--json", options->as_json, "On one line");
    receive->callback([options, &exit_code] { exit_code = print(bench_receive(*options)); });

    auto wanted = std::make_shared<ReportBench>();
    CLI::App* speed =
        bench->add_subcommand("report", "From the last acknowledged slice to the report in a PACS");
    speed->add_option("--slices", wanted->slices)->check(CLI::Range(8, 1000))->capture_default_str();
    speed
        ->add_option("--rate", wanted->rate,
                     "Slices a second, as a scanner sends them; 0: as fast as it goes")
        ->check(CLI::Range(0.0, 1000.0))
        ->capture_default_str();
    speed->add_flag("--json", wanted->one_line, "On one line");
    speed->callback([wanted, &exit_code] { exit_code = print(bench_report(*wanted)); });
    add_bench_model_commands(*bench, exit_code);
}

}  // namespace scopenode::dicom_node
