#pragma once
#include <memory>

#include "ml/phantom/phantom.h"
#include "ml/trainer.h"

namespace scopenode::ml {

/// Phantoms 0 to `studies` - 1 of `options` as a training set, made when they are asked for: no files, no
/// DICOM.
std::unique_ptr<TrainingSet> phantom_training_set(const PhantomOptions& options, int studies);

}  // namespace scopenode::ml
