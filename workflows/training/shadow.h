#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/core/clock.h"
#include "config/settings.h"
#include "ml/model.h"
#include "storage/archive/archive.h"
#include "storage/dicom/pixel_reader.h"
#include "storage/index/models.h"

namespace scopenode::workflows {

/// Runs a candidate on the studies that the champion has reported, when there is nothing else to do, and
/// records where it would have said something else. Sends nothing. Not thread-safe.
class Shadow {
  public:
    struct Parts {
        const config::Settings& settings;
        storage::Index& index;
        storage::Archive& archive;
        std::function<Result<std::shared_ptr<const ml::Model>>(const std::string& id)> load_model;
        storage::PixelReader& pixels;
        const Clock& clock;
    };
    explicit Shadow(Parts parts) : p_(std::move(parts)) {}

    /// One study; false when there is none. `yield` is asked between batches: an error leaves the study for
    /// later.
    Result<bool> turn(const std::function<Status()>& yield);

  private:
    Result<storage::ShadowRow> score(std::int64_t study_id, int revision,
                                     const std::function<Status()>& yield);

    Parts p_;
    std::shared_ptr<const ml::Model> model_;
};

}  // namespace scopenode::workflows
