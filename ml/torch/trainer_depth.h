#pragma once
#include <string>
#include <vector>

#include "ml/torch/scopeformer.h"
#include "ml/trainer.h"

namespace scopenode::ml {

/// Whether a tensor of the network, by its name, may change at this depth.
bool learns_at(Depth depth, const std::string& name);
bool is_of_cnn(const std::string& name);

/// No gradients for what does not learn.
void freeze_below(Scopeformer& network, Depth depth);
/// What learns goes into training mode, the rest (norms and dropout too) into that of inference.
void train_above(Scopeformer& network, Depth depth);

}  // namespace scopenode::ml
