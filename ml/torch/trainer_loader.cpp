#include "ml/torch/trainer_loader.h"

#include <chrono>

namespace scopenode::ml {

BatchLoader::BatchLoader(std::size_t batches, Make make)
    : thread_([this, batches, make = std::move(make)] {
          const torch::NoGradGuard no_grad;
          for (std::size_t number = 0; number < batches; ++number) {
              Item item;
              try {
                  item.batch = make(number);
              } catch (...) {
                  item.error = std::current_exception();
              }
              const bool last = item.error != nullptr;
              if (!queue_.push(std::move(item)) || last) break;
          }
          queue_.close();
      }) {}

BatchLoader::~BatchLoader() {
    queue_.close();
    thread_.join();
}

std::optional<Batch> BatchLoader::next() {
    const auto start = std::chrono::steady_clock::now();
    auto item = queue_.pop();
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!item) return std::nullopt;
    if (item->error) std::rethrow_exception(item->error);
    return std::move(item->batch);
}

}  // namespace scopenode::ml
