#include "workflows/fallback_model.h"

#include <algorithm>

#include "base/log.h"

namespace scopenode::workflows {
namespace {

constexpr int kGoodPassesToGrow = 50;

}  // namespace

FallbackModel::FallbackModel(std::shared_ptr<const ml::Model> model, Load load_on_cpu)
    : model_(std::move(model)), load_on_cpu_(std::move(load_on_cpu)) {}

Result<std::vector<ml::SliceScores>> FallbackModel::infer(std::span<const HuImage> slices) const {
    const std::lock_guard lock(mutex_);
    std::vector<ml::SliceScores> scores;
    SCOPENODE_TRY(infer_some(slices, scores));
    return scores;
}

Status FallbackModel::infer_some(std::span<const HuImage> slices, std::vector<ml::SliceScores>& scores) const {
    std::size_t begin = 0;
    while (begin < slices.size()) {
        const std::size_t left = slices.size() - begin;
        const std::size_t size = limit_ == 0 ? left : std::min(left, limit_);
        auto some = model_->infer(slices.subspan(begin, size));
        if (!some && some.error().code == Code::kOutOfResources) {
            good_ = 0;
            if (size > 1) {
                limit_ = size / 2;
                log::warning("work", "{} has no memory for {} slices at once: {} from now on", device(), size,
                             limit_);
                continue;
            }
            SCOPENODE_ASSIGN(const auto cpu, on_cpu());
            some = cpu->infer(slices.subspan(begin, 1));
            if (some) ++fallen_back_;
        } else if (some && limit_ > 0 && ++good_ >= kGoodPassesToGrow) {
            limit_ *= 2;
            good_ = 0;
        }
        if (!some) return fail(some.error());
        scores.insert(scores.end(), some->begin(), some->end());
        begin += size;
    }
    return {};
}

Result<std::vector<ml::Grid>> FallbackModel::grad_cam(const HuImage& slice,
                                                      std::span<const std::size_t> labels) const {
    const std::lock_guard lock(mutex_);
    auto maps = model_->grad_cam(slice, labels);
    if (maps || maps.error().code != Code::kOutOfResources) return maps;
    SCOPENODE_ASSIGN(const auto cpu, on_cpu());
    return cpu->grad_cam(slice, labels);
}

Result<std::shared_ptr<const ml::Model>> FallbackModel::on_cpu() const {
    if (!load_on_cpu_) return fail(Code::kOutOfResources, "{} has no memory for a single slice", device());
    if (!cpu_) {
        log::error("work", "{} has no memory for a single slice: on the CPU now", device());
        SCOPENODE_ASSIGN(cpu_, load_on_cpu_());
    }
    return cpu_;
}

}  // namespace scopenode::workflows
