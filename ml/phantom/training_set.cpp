#include "ml/phantom/training_set.h"

#include <mutex>

namespace scopenode::ml {
namespace {

class PhantomTrainingSet final : public TrainingSet {
  public:
    PhantomTrainingSet(const PhantomOptions& options, int studies) : options_(options), studies_(studies) {}

    std::size_t size() const override { return std::size_t(studies_) * std::size_t(options_.slices); }

    Result<LabelledSlice> load(std::size_t index) const override {
        const std::size_t number = index / std::size_t(options_.slices),
                          at = index % std::size_t(options_.slices);
        SCOPENODE_ASSIGN(const auto study, study_of(number));
        LabelledSlice slice;
        slice.image = study->slices[at];
        slice.study = slice.patient = fmt::format("phantom-{}-{}", options_.seed, number);
        slice.z_mm = study->z_mm[at];
        for (std::size_t k = 0; k < kLabelCount; ++k) slice.labels[k] = study->slice_findings[at][k];
        return slice;
    }

    std::string description() const override {
        return fmt::format("{} phantom studies of {} slices of {} pixels, seed {}, positive rate {}",
                           studies_, options_.slices, options_.size, options_.seed, options_.positive_rate);
    }

  private:
    /// Slices are asked for in order: the last study is kept.
    Result<std::shared_ptr<const PhantomStudy>> study_of(std::size_t number) const {
        const std::lock_guard lock(mutex_);
        if (!last_ || last_number_ != number) {
            SCOPENODE_ASSIGN(auto made, make_phantom(options_, number));
            last_ = std::make_shared<const PhantomStudy>(std::move(made));
            last_number_ = number;
        }
        return last_;
    }

    const PhantomOptions options_;
    const int studies_;
    mutable std::mutex mutex_;
    mutable std::shared_ptr<const PhantomStudy> last_;
    mutable std::size_t last_number_ = 0;
};

}  // namespace

std::unique_ptr<TrainingSet> phantom_training_set(const PhantomOptions& options, int studies) {
    return std::make_unique<PhantomTrainingSet>(options, studies);
}

}  // namespace scopenode::ml
