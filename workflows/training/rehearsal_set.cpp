#include "workflows/training/rehearsal_set.h"

namespace scopenode::workflows {
namespace {

class RehearsalSet final : public ml::TrainingSet {
  public:
    RehearsalSet(std::unique_ptr<ml::TrainingSet> fresh, std::unique_ptr<ml::TrainingSet> earlier)
        : fresh_(std::move(fresh)), earlier_(std::move(earlier)) {}

    std::size_t size() const override { return fresh_->size() + earlier_->size(); }
    Result<ml::LabelledSlice> load(std::size_t index) const override {
        if (index < fresh_->size()) return fresh_->load(index);
        auto slice = earlier_->load(index - fresh_->size());
        if (slice) slice->rehearsal = true;
        return slice;
    }
    std::string description() const override {
        return fmt::format("{}; rehearsal: {}", fresh_->description(), earlier_->description());
    }
    std::vector<std::string> skipped() const override {
        auto all = fresh_->skipped();
        for (auto& words : earlier_->skipped()) all.push_back(std::move(words));
        return all;
    }

  private:
    std::unique_ptr<ml::TrainingSet> fresh_, earlier_;
};

}  // namespace

std::unique_ptr<ml::TrainingSet> with_rehearsal(std::unique_ptr<ml::TrainingSet> fresh,
                                                std::unique_ptr<ml::TrainingSet> earlier) {
    return std::make_unique<RehearsalSet>(std::move(fresh), std::move(earlier));
}

}  // namespace scopenode::workflows
