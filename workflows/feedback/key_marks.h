#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace scopenode::workflows {

/// SOP Instance UIDs of the images that a Key Object Selection (PS3.3 A.35.4) marks, each once, 1,000 at
/// most. None when it rejects what it names (titles such as "Rejected for Quality Reasons"), when a device
/// has made it, or when it cannot be read.
std::vector<std::string> marked_images(const std::filesystem::path& file);

}  // namespace scopenode::workflows
