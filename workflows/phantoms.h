#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/core/result.h"
#include "ml/phantom/phantom.h"
#include "storage/dicom/ct_writer.h"

namespace scopenode::workflows {

struct PhantomFolderOptions {
    std::filesystem::path out;  ///< new or empty
    int studies = 1;
    int threads = 0;  ///< 0: as many as cores
    ml::PhantomOptions phantom;
};

/// Writes `studies` synthetic head CTs as OUT/<study>/<nnnn>.dcm with labels.csv (Kaggle RSNA form) and
/// studies.csv. The same options give the same bytes, whatever the number of threads. Nothing in a header
/// tells the label. `on_study` is called after each study with how many are done, by one thread at a time.
Status write_phantoms(const PhantomFolderOptions& options, const std::function<void(int done)>& on_study);

/// What a scanner stores for an attenuation: raw value of whole HU, padding where the image has -2000.
std::int32_t stored_value(const ml::Scanner& scanner, float hu);

}  // namespace scopenode::workflows
