#include "workflows/delivery_workers.h"

#include "base/log.h"

namespace scopenode::workflows {
namespace {

using namespace std::chrono_literals;

constexpr auto kPause = 1000ms;

/// The value, or false with the error in the log: the next turn tries again.
bool done(const char* who, const Result<bool>& result) {
    if (!result) log::error(who, "{}", result.error().message);
    return result.value_or(false);
}

}  // namespace

void DeliveryWorkers::start() {
    std::lock_guard lock(mutex_);
    stopping_ = false;
    for (const auto& destination : settings_.destinations)
        workers_.push_back(std::make_unique<Worker>("delivery to " + destination.name, kPause, [&] {
            return done("delivery", delivery_.pass_to(destination, stopping_)) && !stopping_;
        }));
    workers_.push_back(std::make_unique<Worker>("delivery reports", kPause, [this] {
        done("delivery", delivery_.end_orphans());
        return done("commitment", commitments_.pass(stopping_)) && !stopping_;
    }));
}

void DeliveryWorkers::stop() {
    stopping_ = true;
    std::vector<std::unique_ptr<Worker>> all;
    {
        // They may wake each other under this lock: it must not be held while they are joined.
        std::lock_guard lock(mutex_);
        all.swap(workers_);
    }
    for (auto& worker : all) worker->stop();
}

void DeliveryWorkers::wake() {
    std::lock_guard lock(mutex_);
    for (auto& worker : workers_) worker->wake();
}

}  // namespace scopenode::workflows
