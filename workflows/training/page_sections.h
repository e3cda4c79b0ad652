#pragma once
#include <string>

#include "workflows/training/page_numbers.h"
#include "workflows/training/training_page.h"

namespace scopenode::workflows {

// The parts of training_page, from top to bottom; each a piece of well-formed markup.

std::string head_section(const TrainingPage& page);
std::string verdict_section(const TrainingPage& page);
std::string facts_section(const TrainingPage& page);
std::string data_section(const TrainingPage& page);
std::string epochs_section(const TrainingPage& page);
std::string curves_section(const SetNumbers& set);    ///< curves, figures, confusion
std::string subgroup_section(const SetNumbers& set);  ///< "" when there are no groups
std::string checks_section(const Verdict& verdict);
std::string notes_section(const TrainingPage& page);

}  // namespace scopenode::workflows
