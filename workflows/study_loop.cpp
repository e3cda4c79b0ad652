#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include "base/log.h"
#include "base/worker.h"
#include "storage/index/slices.h"
#include "storage/index/trainings.h"
#include "workflows/delivery_workers.h"
#include "workflows/intake.h"
#include "workflows/node.h"
#include "workflows/slice_scorer.h"
#include "workflows/study_work.h"
#include "workflows/training/shadow.h"

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
    /// What follows the model that serves; made anew when another one does.
    struct Serving {
        explicit Serving(State& s)
            : intake(s.p.settings, s.p.index, s.p.archive, s.p.clock, s.associations,
                     score_key(*s.p.model, s.p.settings)),
              scorer({s.p.settings, s.p.index, s.p.archive, s.p.model, s.pixels, s.p.clock}),
              work({s.p.settings, s.p.index, s.p.archive, s.p.model, s.p.load_model, s.pixels, s.p.clock,
                    s.p.node_uid, s.p.program_version, [&s] { s.wake_delivery(); }}),
              shadow({s.p.settings, s.p.index, s.p.archive, s.p.load_model, s.pixels, s.p.clock}) {}
        Intake intake;
        SliceScorer scorer;
        StudyWork work;
        Shadow shadow;
    };

    explicit State(Parts parts)
        : p(std::move(parts)),
          associations(p.index, p.clock),
          pixels(p.decoder),
          serving(std::make_unique<Serving>(*this)),
          delivery(p.settings, p.index, p.connect, p.clock),
          commitments({p.settings, p.archive, p.report, p.clock, [this] { wake_delivery(); }}),
          delivery_workers(p.settings, delivery, commitments) {}

    Parts p;
    Associations associations;
    storage::PixelReader pixels;
    std::unique_ptr<Serving> serving;
    Delivery delivery;
    CommitmentService commitments;
    DeliveryWorkers delivery_workers;
    std::atomic<bool> stopping{false};
    std::atomic<std::chrono::steady_clock::rep> woken{0};
    std::mutex mutex;      ///< of the workers below, which come and go as a set, and of `serving`
    std::mutex switching;  ///< one starts, stops or takes another model at a time
    std::unique_ptr<Worker> work_worker, intake_worker;

    bool intake_turn() {
        if (done("intake", serving->intake.pass())) wake_work();
        return false;
    }
    /// Reports of complete studies first: what is still arriving has time.
    bool work_turn() {
        if (done("work", serving->work.turn(stopping))) {
            wake_delivery();
            return !stopping;
        }
        if (stopping) return false;
        if (done("work", serving->scorer.turn())) return !stopping;
        return !stopping && done("shadow", shadow_turn()) && !stopping;
    }
    /// One study in the shadow, given up as soon as a real one waits.
    Result<bool> shadow_turn() {
        const auto turned = serving->shadow.turn([this]() -> Status {
            SCOPENODE_ASSIGN(const bool busy, p.index.read([this](storage::Connection& db) {
                return storage::studies_wait(db, p.clock.now());
            }));
            if (busy || stopping) return fail(Code::kCancelled, "studies come first");
            return {};
        });
        if (!turned && turned.error().code == Code::kCancelled) return false;
        return turned;
    }

    void start_workers() {
        const std::lock_guard lock(mutex);
        stopping = false;
        work_worker = std::make_unique<Worker>("work", kWorkPause, [this] { return work_turn(); });
        intake_worker = std::make_unique<Worker>("intake", kIntakePause, [this] { return intake_turn(); });
    }
    void stop_workers() {
        stopping = true;
        std::unique_ptr<Worker> all[2];
        {
            // The workers wake each other under this lock: it must not be held while they are joined.
            const std::lock_guard lock(mutex);
            all[0] = std::move(intake_worker);
            all[1] = std::move(work_worker);
        }
        for (auto& worker : all)
            if (worker) worker->stop();
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
    const std::lock_guard lock(s.switching);
    s.delivery_workers.start();
    s.start_workers();
    return {};
}

void StudyLoop::stop() {
    State& s = *state_;
    const std::lock_guard lock(s.switching);
    s.stop_workers();
    s.delivery_workers.stop();
}

Status StudyLoop::serve(std::shared_ptr<const ml::Model> model) {
    State& s = *state_;
    const std::lock_guard lock(s.switching);
    s.stop_workers();
    s.p.model = std::move(model);
    {
        const std::lock_guard serving(s.mutex);
        s.serving = std::make_unique<State::Serving>(s);
    }
    // A study that was at work begins anew, by the new model.
    const Status requeued = s.p.index.write([](storage::Connection& db) -> Status {
        SCOPENODE_TRY(storage::requeue_running_jobs(db));
        return {};
    });
    s.start_workers();
    return requeued;
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
    const std::lock_guard lock(state_->mutex);
    return state_->serving->scorer.resting();
}

}  // namespace scopenode::workflows
