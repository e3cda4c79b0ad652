#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/worker.h"
#include "workflows/commitment.h"
#include "workflows/delivery.h"

namespace scopenode::workflows {

/// The threads of delivery: one a destination, so that a dead one delays nobody, and one for the reports that
/// we owe and for what waits for destinations that are gone. Everything given must outlive it. Thread-safe.
class DeliveryWorkers {
  public:
    DeliveryWorkers(const config::Settings& settings, Delivery& delivery, CommitmentService& commitments)
        : settings_(settings), delivery_(delivery), commitments_(commitments) {}
    ~DeliveryWorkers() { stop(); }
    void start();
    /// Waits for what is being sent.
    void stop();
    void wake();

  private:
    const config::Settings& settings_;
    Delivery& delivery_;
    CommitmentService& commitments_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;  ///< of the workers: they come and go as a set
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace scopenode::workflows
