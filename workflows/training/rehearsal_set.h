#pragma once
#include <memory>

#include "ml/trainer.h"

namespace scopenode::workflows {

/// The slices of `fresh`, then those of `earlier` as rehearsal.
std::unique_ptr<ml::TrainingSet> with_rehearsal(std::unique_ptr<ml::TrainingSet> fresh,
                                                std::unique_ptr<ml::TrainingSet> earlier);

}  // namespace scopenode::workflows
