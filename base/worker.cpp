#include "base/worker.h"

#include "base/core/result.h"
#include "base/log.h"

namespace scopenode {

Worker::Worker(std::string name, std::chrono::milliseconds pause, std::function<bool()> turn)
    : name_(std::move(name)), pause_(pause), turn_(std::move(turn)), thread_([this] { run(); }) {}

Worker::~Worker() { stop(); }

void Worker::wake() {
    {
        std::lock_guard lock(mutex_);
        woken_ = true;
    }
    changed_.notify_all();
}

void Worker::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool Worker::one_turn() {
    try {
        return turn_();
    } catch (...) {
        log::error("worker", "{}: {}", name_, error_of_current_exception(Code::kInternal).message);
        return false;
    }
}

void Worker::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        woken_ = false;
        lock.unlock();
        const bool again = one_turn();
        lock.lock();
        if (!again) changed_.wait_for(lock, pause_, [&] { return stopping_ || woken_; });
    }
}

}  // namespace scopenode
