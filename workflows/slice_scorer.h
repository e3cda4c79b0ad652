#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/core/clock.h"
#include "config/settings.h"
#include "ml/model.h"
#include "storage/archive/archive.h"
#include "storage/dicom/pixel_reader.h"
#include "storage/index/slices.h"

namespace scopenode::workflows {

/// Under which the scores of a model are kept: values that were read otherwise have scores of their own.
std::string score_key(const std::string& manifest_sha256, const config::Settings& settings);
std::string score_key(const ml::Model& model, const config::Settings& settings);

/// Scores slices and keeps what comes of them: scores, or the reason why a slice has none. What it begins is
/// marked in the index before, so that a study that ends the program is known. Not thread-safe.
class SliceScorer {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Index& index;
        storage::Archive& archive;
        std::shared_ptr<const ml::Model> model;
        storage::PixelReader& pixels;
        const Clock& clock;
    };
    explicit SliceScorer(Parts parts);

    /// One batch of the slices that are wanted while their studies arrive, the most urgent ones; false when
    /// there is nothing to do now. After a passing fault it rests for a while.
    Result<bool> turn();
    /// Scores all of these, batch by batch; `after_batch` may end it with an error. Passing faults are
    /// errors; a slice that cannot be decoded, or on which alone the model fails, is not.
    Status score(std::span<const storage::WantedSlice> slices, const std::function<Status()>& after_batch);
    /// The last try failed for want of memory or of the disk: an alarm.
    bool resting() const { return rest_until_.load() > 0; }

  private:
    Status batch(std::span<const storage::WantedSlice> slices);
    Status batch_or_singles(std::span<const storage::WantedSlice> slices);
    Status leave_to_jobs(std::span<const storage::WantedSlice> slices);
    Status keep_fault(const storage::WantedSlice& slice, const std::string& text);

    Parts p_;
    const std::string key_;
    std::atomic<std::int64_t> rest_until_{0};  ///< steady time, ms
};

}  // namespace scopenode::workflows
