#include "dicom_node/app/composition.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "base/core/files.h"
#include "base/crash_mark.h"
#include "base/log.h"
#include "base/worker.h"
#include "dicom_node/app/metrics.h"
#include "dicom_node/app/node_folder.h"
#include "dicom_node/control/control.h"
#include "dicom_node/dimse/sender.h"
#include "dicom_node/dimse/server.h"
#include "dicom_node/http/server.h"
#include "storage/dicom/header.h"
#include "workflows/associations.h"
#include "workflows/fallback_model.h"
#include "workflows/node.h"
#include "workflows/results/report.h"
#include "workflows/training/child.h"
#include "workflows/training/retraining.h"

namespace scopenode::dicom_node {
namespace {

namespace fs = std::filesystem;
constexpr int kDrainSeconds = 10;
constexpr auto kTrainingPause = std::chrono::milliseconds(1000);

/// Blocks the signals that end the node, in this thread and all that it starts.
sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

/// Members in the order of their dependence: destroyed from the edges inwards.
struct Node {
    explicit Node(fs::path folder) : dir(std::move(folder)) {}

    fs::path dir;
    SystemClock clock;
    config::Settings settings;
    std::unique_ptr<storage::Index> index;
    std::mutex model_mutex;
    std::shared_ptr<const ml::Model> model;  ///< that serves
    std::unique_ptr<storage::Archive> archive;
    std::unique_ptr<workflows::StudyLoop> loop;
    std::unique_ptr<workflows::Retraining> retraining;
    std::unique_ptr<Worker> training_worker;
    std::atomic<bool> stopping{false};
    std::unique_ptr<DimseServer> dimse;
    std::unique_ptr<HttpServer> http;
    std::unique_ptr<ControlServer> control;
    std::atomic<bool> ready{false};

    Result<std::shared_ptr<const ml::Model>> load(const ml::ModelFiles& files) const;
    Status open();
    Status listen();
    Result<std::string> command(const std::vector<std::string>& words);
    Status serve_model(std::shared_ptr<const ml::Model> other);
    std::shared_ptr<const ml::Model> serving();
    HttpResponse answer(const std::string& method, const std::string& path);
    Status announce();
    void stop();
};

Result<std::shared_ptr<const ml::Model>> Node::load(const ml::ModelFiles& files) const {
    const auto& inference = settings.inference;
    const auto on = [files, inference](const std::string& device) {
        return ml::Model::load(
            files, {device, inference.threads, inference.batch, ml::precision_named(inference.precision)});
    };
    SCOPENODE_ASSIGN(const auto loaded, on(inference.device));
    workflows::FallbackModel::Load on_cpu;
    if (loaded->device() != "cpu") on_cpu = [on] { return on("cpu"); };
    return std::make_shared<const workflows::FallbackModel>(loaded, on_cpu);
}

Status Node::open() {
    if (!storage::dictionary_is_loaded())
        return fail(Code::kInternal,
                    "DCMTK's data dictionary is not loaded: install dcmtk's data files or set DCMDICTPATH");
    SCOPENODE_TRY(workflows::check_codes());
    SCOPENODE_ASSIGN(const auto uid, node_uid(dir));
    SCOPENODE_ASSIGN(index, open_writer(dir, clock));
    SCOPENODE_ASSIGN(const auto files, champion_model(*index, dir));
    SCOPENODE_ASSIGN(model, load(files));
    SCOPENODE_ASSIGN(archive,
                     storage::Archive::open(dir, *index, real_files(), settings.archive.keep_free_mb << 20));
    archive->sweep_later();
    auto connect = [this](const config::Destination& peer, const std::vector<std::string>& sop_classes) {
        return connect_peer(settings.dimse.ae_title, peer, sop_classes);
    };
    auto report = [this](const config::Destination& peer, const storage::CommitmentNotice& notice) {
        return report_commitment(settings.dimse.ae_title, peer, notice);
    };
    auto load_model = [this](const std::string& id) -> Result<std::shared_ptr<const ml::Model>> {
        SCOPENODE_ASSIGN(const auto wanted, registered_model(*index, dir, id));
        return load(wanted);
    };
    const bool crashed = take_crash_mark(crash_mark(dir));
    if (crashed) log::error("node", "the process before this one crashed or was ended for want of memory");
    SCOPENODE_TRY(mark_crashes(crash_mark(dir)));
    loop = std::make_unique<workflows::StudyLoop>(
        workflows::StudyLoop::Parts{settings, *index, *archive, model, load_model, connect, report, clock,
                                    uid, program_version(), crashed, decoder_command()});
    retraining = std::make_unique<workflows::Retraining>(
        workflows::Retraining::Parts{settings, *index, *archive, clock, dir, workflows::own_program()});
    return retraining->start();
}

std::shared_ptr<const ml::Model> Node::serving() {
    const std::lock_guard lock(model_mutex);
    return model;
}

Status Node::serve_model(std::shared_ptr<const ml::Model> other) {
    SCOPENODE_TRY(loop->serve(other));
    log::info("node", "model {} ({}) serves from here on", other->id(), other->manifest().name);
    const std::lock_guard lock(model_mutex);
    model = std::move(other);
    return {};
}

/// A person's command. A model that is to serve is loaded before it is recorded as serving.
Result<std::string> Node::command(const std::vector<std::string>& words) {
    const bool approves = words.size() > 2 && words[0] == "models" && words[1] == "approve";
    const bool rolls_back = words.size() > 1 && words[0] == "models" && words[1] == "rollback";
    std::shared_ptr<const ml::Model> next;
    if (approves) {
        SCOPENODE_ASSIGN(const auto files, registered_model(*index, dir, words[2]));
        SCOPENODE_ASSIGN(next, load(files));
    }
    auto done = carry_out(*archive, settings, clock, words);
    loop->signal();
    if (training_worker) training_worker->wake();
    if (!done || !(approves || rolls_back)) return done;
    if (!next) {
        SCOPENODE_ASSIGN(const auto files, champion_model(*index, dir));
        SCOPENODE_ASSIGN(next, load(files));
    }
    SCOPENODE_TRY(serve_model(next));
    return done;
}

Status Node::listen() {
    const auto& d = settings.dimse;
    const DimseOptions options{d.ae_title,
                               d.bind,
                               d.port,
                               d.max_associations,
                               d.timeout_seconds,
                               d.allowed_callers,
                               settings.site.default_issuer};
    SCOPENODE_TRY(loop->start());
    training_worker = std::make_unique<Worker>("training", kTrainingPause, [this] {
        const auto turned = retraining->turn(stopping);
        if (!turned) log::error("training", "{}", turned.error().message);
        return turned.value_or(false) && !stopping;
    });
    SCOPENODE_ASSIGN(dimse, DimseServer::start(options, *archive,
                                               {[this] { loop->wake(); }, [this] { loop->signal(); },
                                                &loop->associations(), &loop->commitments()}));
    SCOPENODE_ASSIGN(http, HttpServer::start(settings.http.bind, settings.http.port,
                                             [this](const std::string& method, const std::string& path) {
                                                 return answer(method, path);
                                             }));
    SCOPENODE_ASSIGN(control, ControlServer::start(dir, [this](const std::vector<std::string>& words) {
                         return command(words);
                     }));
    return {};
}

HttpResponse Node::answer(const std::string& method, const std::string& path) {
    if (method != "GET" && method != "HEAD")
        return problem(Code::kUnsupported, method + " is not answered here");
    if (path == "/healthz") return {200, "text/plain; charset=utf-8", "ok\n"};
    if (path == "/readyz") {
        if (ready) return {200, "text/plain; charset=utf-8", "ready\n"};
        return {503, "text/plain; charset=utf-8", "not ready\n"};
    }
    if (path == "/metrics" && ready) {
        const auto current = serving();
        auto text = metrics_text({*dimse, *index, *loop, *current});
        if (!text) return problem(text.error().code, text.error().message);
        return {200, "text/plain; version=0.0.4; charset=utf-8", std::move(*text)};
    }
    return problem(Code::kNotFound, "nothing at " + path);
}

Status Node::announce() {
    const std::string text = fmt::format("{{\"pid\":{},\"dimse_port\":{},\"http_port\":{}}}\n", ::getpid(),
                                         dimse->port(), http->port());
    ready = true;
    SCOPENODE_TRY(write_file(real_files(), ready_file(dir), text));
    log::info("node", "scopenode {} ready: {} on DIMSE port {}, HTTP port {}, model {} ({}) on {}",
              program_version(), settings.dimse.ae_title, dimse->port(), http->port(), model->id(),
              model->manifest().name, model->device());
    for (const auto& destination : settings.destinations)
        if (model->manifest().demonstration && !destination.is_loopback() && !destination.allow_demonstration)
            log::warning(
                "node",
                "destination {} gets nothing: reports of a demonstration model stay on this machine unless "
                "it says \"allow_demonstration\": true in node.json",
                destination.name);
    return {};
}

void Node::stop() {
    ready = false;
    stopping = true;
    (void)real_files().remove(ready_file(dir));
    if (control) control->stop();
    if (dimse) dimse->stop(kDrainSeconds);
    if (training_worker) training_worker->stop();
    if (loop) loop->stop();
    if (http) http->stop();
    (void)take_crash_mark(crash_mark(dir));
}

}  // namespace

Status serve(const fs::path& dir) {
    const sigset_t signals = block_signals();
    Node node(dir);
    SCOPENODE_ASSIGN(node.settings, config::load_settings(dir));
    SCOPENODE_ASSIGN(const auto lock, NodeLock::take(dir));
    (void)real_files().remove(ready_file(dir));  // of a process that was killed
    SCOPENODE_TRY(node.open());
    Status done = node.listen();
    if (done) done = node.announce();
    if (done) {
        int signal_number = 0;
        while (sigwait(&signals, &signal_number) != 0) continue;
        log::info("node", "signal {}: draining", signal_number);
    }
    node.stop();
    if (done) log::info("node", "stopped");
    return done;
}

}  // namespace scopenode::dicom_node
