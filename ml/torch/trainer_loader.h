#pragma once
#include <torch/torch.h>

#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/core/bounded_queue.h"
#include "ml/torch/trainer_batch.h"

namespace scopenode::ml {

/// What a step of training needs.
struct Batch {
    torch::Tensor images;  ///< as the network takes them, not yet on its device
    Targets targets;
    std::size_t slices = 0;
};

/// Makes the next few batches on a thread of its own while the caller works. They come in the order of their
/// numbers, so what is drawn does not depend on the threads.
class BatchLoader {
  public:
    using Make = std::function<Batch(std::size_t number)>;
    BatchLoader(std::size_t batches, Make make);
    ~BatchLoader();
    BatchLoader(const BatchLoader&) = delete;
    BatchLoader& operator=(const BatchLoader&) = delete;

    /// Nothing after the last; throws what `make` threw.
    std::optional<Batch> next();
    double waited_seconds() const { return waited_; }  ///< by all calls of next()

  private:
    struct Item {
        Batch batch;
        std::exception_ptr error;
    };
    static constexpr std::size_t kAhead = 3;

    BoundedQueue<Item> queue_{kAhead};
    double waited_ = 0;
    std::thread thread_;
};

}  // namespace scopenode::ml
