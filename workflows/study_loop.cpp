#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include "base/log.h"
#include "base/worker.h"
#include "storage/index/slices.h"
#include "workflows/delivery_workers.h"
#include "workflows/intake.h"
#include "workflows/node.h"
#include "workflows/slice_scorer.h"
#include "workflows/study_work.h"

namespace scopenode::workflows {
namespace {

using namespace std::chrono_literals;

// Intake looks on its own every so often and is not woken by objects: a pass then takes many of them together
// and costs the receiving associations one commit.
constexpr auto kIntakePause = 250ms;
constexpr auto kWorkPause = 1000ms;

/// The value, or false with the error in the log: the next turn tries again.
bool done(const char* who, const Result<bool>& result) {
    if (!result) log::error(who, "{}", result.error().message);
    return result.value_or(false);
}

}  // namespace

struct StudyLoop::State {
    explicit State(Parts parts)
        : p(std::move(parts)),
          associations(p.index, p.clock),
          intake(p.settings, p.index, p.archive, p.clock, associations, score_key(*p.model, p.settings)),
          pixels(p.decoder),
          scorer({p.settings, p.index, p.archive, p.model, pixels, p.clock}),
          work({p.settings, p.index, p.archive, p.model, p.load_model, pixels, p.clock, p.node_uid,
                p.program_version, [this] { wake_delivery(); }}),
          delivery(p.settings, p.index, p.connect, p.clock),
          commitments({p.settings, p.archive, p.report, p.clock, [this] { wake_delivery(); }}),
          delivery_workers(p.settings, delivery, commitments) {}

    Parts p;
    Associations associations;
    Intake intake;
    storage::PixelReader pixels;
    SliceScorer scorer;
    StudyWork work;
    Delivery delivery;
    CommitmentService commitments;
    DeliveryWorkers delivery_workers;
    std::atomic<bool> stopping{false};
    std::atomic<std::chrono::steady_clock::rep> woken{0};
    std::mutex mutex;  ///< of the workers below: they come and go as a set
    std::unique_ptr<Worker> work_worker, intake_worker;

    bool intake_turn() {
        if (done("intake", intake.pass())) wake_work();
        return false;
    }
    /// Reports of complete studies first: what is still arriving has time.
    bool work_turn() {
        if (done("work", work.turn(stopping))) {
            wake_delivery();
            return !stopping;
        }
        return !stopping && done("work", scorer.turn()) && !stopping;
    }

    void wake_work() {
        std::lock_guard lock(mutex);
        if (work_worker) work_worker->wake();
    }
    void wake_delivery() { delivery_workers.wake(); }
};

StudyLoop::StudyLoop(Parts parts) : state_(std::make_unique<State>(std::move(parts))) {}
StudyLoop::~StudyLoop() {
    stop();
}

Status StudyLoop::start() {
    State& s = *state_;
    SCOPENODE_TRY(s.p.index.write([&](storage::Connection& db) -> Status {
        SCOPENODE_TRY(storage::count_deaths(db, s.p.crashed));
        SCOPENODE_ASSIGN(const int count, storage::requeue_running_jobs(db));
        if (count > 0) log::info("work", "{} interrupted job{} taken up again", count, count == 1 ? "" : "s");
        return {};
    }));
    std::lock_guard lock(s.mutex);
    s.stopping = false;
    s.delivery_workers.start();
    s.work_worker = std::make_unique<Worker>("work", kWorkPause, [&s] { return s.work_turn(); });
    s.intake_worker = std::make_unique<Worker>("intake", kIntakePause, [&s] { return s.intake_turn(); });
    return {};
}

void StudyLoop::stop() {
    State& s = *state_;
    s.stopping = true;
    std::unique_ptr<Worker> all[2];
    {
        // The workers wake each other under this lock: it must not be held while they are joined.
        std::lock_guard lock(s.mutex);
        all[0] = std::move(s.intake_worker);
        all[1] = std::move(s.work_worker);
    }
    for (auto& worker : all)
        if (worker) worker->stop();
    s.delivery_workers.stop();
}

void StudyLoop::wake() {
    // Called for every object that is received: now and then is often enough.
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    auto last = state_->woken.load();
    if (now - last < std::chrono::steady_clock::duration(kIntakePause).count()) return;
    if (!state_->woken.compare_exchange_strong(last, now)) return;
    state_->wake_work();
    state_->wake_delivery();
}

void StudyLoop::signal() {
    {
        std::lock_guard lock(state_->mutex);
        if (state_->intake_worker) state_->intake_worker->wake();
    }
    state_->wake_work();
    state_->wake_delivery();
}

Associations& StudyLoop::associations() {
    return state_->associations;
}

CommitmentService& StudyLoop::commitments() {
    return state_->commitments;
}

std::int64_t StudyLoop::oldest_runnable_job_ms() const {
    const auto due = state_->p.index.read(storage::next_job_due);
    if (!due || !*due) return 0;
    return std::max<std::int64_t>(0, state_->p.clock.now() - **due);
}

bool StudyLoop::inference_rests() const {
    return state_->scorer.resting();
}

}  // namespace scopenode::workflows
