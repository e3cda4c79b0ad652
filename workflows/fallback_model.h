#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "ml/model.h"

namespace scopenode::workflows {

/// A model that goes on when its device has no memory: with smaller batches, down to single slices, then on a
/// copy on the CPU, which is loaded when it is first needed. kOutOfResources only when that fails too. After
/// a good while without trouble the batches grow again. Thread-safe as Model.
class FallbackModel final : public ml::Model {
  public:
    using Load = std::function<Result<std::shared_ptr<const ml::Model>>()>;
    FallbackModel(std::shared_ptr<const ml::Model> model, Load load_on_cpu);

    const ml::Manifest& manifest() const override { return model_->manifest(); }
    const std::string& id() const override { return model_->id(); }
    const std::string& manifest_sha256() const override { return model_->manifest_sha256(); }
    std::string device() const override { return model_->device(); }
    Result<std::vector<ml::SliceScores>> infer(std::span<const HuImage> slices) const override;
    Result<std::vector<ml::Grid>> grad_cam(const HuImage& slice, std::span<const std::size_t> labels) const override;
    /// Slices that were scored on the CPU because the device had no memory.
    std::int64_t fallen_back() const { return fallen_back_; }

  private:
    Status infer_some(std::span<const HuImage> slices, std::vector<ml::SliceScores>& scores) const;
    Result<std::shared_ptr<const ml::Model>> on_cpu() const;

    const std::shared_ptr<const ml::Model> model_;
    const Load load_on_cpu_;
    mutable std::mutex mutex_;  ///< of what follows
    mutable std::shared_ptr<const ml::Model> cpu_;
    mutable std::size_t limit_ = 0;  ///< slices a pass; 0: no trouble so far
    mutable int good_ = 0;           ///< passes since the last trouble
    mutable std::atomic<std::int64_t> fallen_back_{0};
};

}  // namespace scopenode::workflows
