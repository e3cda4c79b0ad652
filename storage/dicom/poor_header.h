#pragma once
#include "storage/dicom/header.h"

namespace scopenode::storage {

/// As read_header(), for files outside the archive: UIDs may be missing or not legal, and are then as found.
Result<InstanceHeader> read_poor_header(const std::filesystem::path& file);

}  // namespace scopenode::storage
