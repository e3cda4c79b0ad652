#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace scopenode::workflows {

/// SOP Instance UIDs of the images that a Key Object Selection (PS3.3 A.35.4) marks, each once, 1,000 at
/// most. None when it rejects what it names (titles of CID 7011 "for quality reasons" and alike), or cannot
/// be read.
std::vector<std::string> marked_images(const std::filesystem::path& file);

}  // namespace scopenode::workflows
