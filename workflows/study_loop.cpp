#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include "base/log.h"
#include "base/worker.h"
#include "workflows/delivery.h"
#include "workflows/intake.h"
#include "workflows/node.h"
#include "workflows/study_work.h"

namespace scopenode::workflows {
namespace {

using namespace std::chrono_literals;

// Intake looks on its own every so often and is not woken by objects: a pass then takes many of them together
// and costs the receiving associations one commit.
constexpr auto kIntakePause = 250ms;
constexpr auto kWorkPause = 1000ms;
constexpr auto kDeliveryPause = 1000ms;

/// The value, or false with the error in the log: the next turn tries again.
bool done(const char* who, const Result<bool>& result) {
    if (!result) log::error(who, "{}", result.error().message);
    return result.value_or(false);
}

}  // namespace

struct StudyLoop::State {
    explicit State(Parts parts)
        : p(std::move(parts)),
          intake(p.settings, p.index, p.archive, p.clock),
          work({p.settings, p.index, p.archive, *p.model, p.clock, p.node_uid, p.program_version,
                [this] { wake_delivery(); }}),
          delivery(p.settings, p.index, p.send, p.clock) {}

    Parts p;
    Intake intake;
    StudyWork work;
    Delivery delivery;
    std::atomic<bool> stopping{false};
    std::atomic<std::chrono::steady_clock::rep> woken{0};
    std::mutex mutex;  ///< of the workers below: they come and go as a set
    std::unique_ptr<Worker> delivery_worker, work_worker, intake_worker;

    bool intake_turn() {
        if (done("intake", intake.pass())) wake_work();
        return false;
    }
    bool work_turn() {
        const bool worked = done("work", work.turn(stopping));
        if (worked && !stopping) wake_delivery();
        return worked && !stopping;
    }
    bool delivery_turn() { return done("delivery", delivery.pass(stopping)) && !stopping; }

    void wake_work() {
        std::lock_guard lock(mutex);
        if (work_worker) work_worker->wake();
    }
    void wake_delivery() {
        std::lock_guard lock(mutex);
        if (delivery_worker) delivery_worker->wake();
    }
};

StudyLoop::StudyLoop(Parts parts) : state_(std::make_unique<State>(std::move(parts))) {}
StudyLoop::~StudyLoop() {
    stop();
}

Status StudyLoop::start() {
    State& s = *state_;
    SCOPENODE_TRY(s.p.index.write([&](storage::Connection& db) -> Status {
        SCOPENODE_ASSIGN(const int count, storage::requeue_running_jobs(db));
        if (count > 0) log::info("work", "{} interrupted job{} taken up again", count, count == 1 ? "" : "s");
        return {};
    }));
    std::lock_guard lock(s.mutex);
    s.stopping = false;
    s.delivery_worker =
        std::make_unique<Worker>("delivery", kDeliveryPause, [&s] { return s.delivery_turn(); });
    s.work_worker = std::make_unique<Worker>("work", kWorkPause, [&s] { return s.work_turn(); });
    s.intake_worker = std::make_unique<Worker>("intake", kIntakePause, [&s] { return s.intake_turn(); });
    return {};
}

void StudyLoop::stop() {
    State& s = *state_;
    s.stopping = true;
    std::unique_ptr<Worker> all[3];
    {
        // The workers wake each other under this lock: it must not be held while they are joined.
        std::lock_guard lock(s.mutex);
        all[0] = std::move(s.intake_worker);
        all[1] = std::move(s.work_worker);
        all[2] = std::move(s.delivery_worker);
    }
    for (auto& worker : all)
        if (worker) worker->stop();
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

std::int64_t StudyLoop::oldest_runnable_job_ms() const {
    const auto due = state_->p.index.read(storage::next_job_due);
    if (!due || !*due) return 0;
    return std::max<std::int64_t>(0, state_->p.clock.now() - **due);
}

}  // namespace scopenode::workflows
