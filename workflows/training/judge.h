#pragma once
#include <filesystem>
#include <string>

#include "ml/model.h"
#include "workflows/training/gate.h"
#include "workflows/training/snapshot.h"

namespace scopenode::workflows {

/// What both models say of the held out and golden studies of a snapshot, and of its golden phantoms; the
/// ground for judge_candidate(). Held out studies are `newest`. A study of which a slice cannot be read is
/// left out.
Result<GateInput> score_both(const Snapshot& snapshot, const std::filesystem::path& objects,
                             const ml::Model& champion, const ml::Model& candidate);

/// How the judging process hands it to the node.
std::string gate_input_json(const GateInput& input);
Result<GateInput> parse_gate_input(const std::string& json);

GateRules gate_rules(const config::Settings::Training& training);

}  // namespace scopenode::workflows
