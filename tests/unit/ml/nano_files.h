#pragma once
#include "ml/manifest.h"

namespace scopenode::test {

/// A scopeformer_nano with random weights as the bytes of a model folder; made once.
const ml::ModelFiles& nano_files();

}  // namespace scopenode::test
