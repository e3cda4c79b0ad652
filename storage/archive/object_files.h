#pragma once
#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/core/files.h"
#include "base/core/result.h"

namespace scopenode::storage {

/// Empty files under the final names of objects to come, made in lots: one sync of a folder makes the names of a
/// whole lot durable, so that an arriving object has only its bytes to sync. Thread-safe.
class ObjectFiles {
  public:
    struct Empty {
        std::filesystem::path path;  ///< relative to the node folder: objects/<2 hex>/<32 hex>.dcm
        std::unique_ptr<OutputFile> file;
    };

    ObjectFiles(std::filesystem::path node, FileSystem& files);
    /// Removes the files that nobody took; after a crash the sweep does.
    ~ObjectFiles();
    ObjectFiles(const ObjectFiles&) = delete;
    ObjectFiles& operator=(const ObjectFiles&) = delete;

    /// The taker removes the file when it does not keep the object.
    Result<Empty> take();
    /// The end of the names that this process gives: tells its files from those of earlier ones without a clock.
    const std::string& run() const { return run_; }

  private:
    Status make_lot();

    const std::filesystem::path node_;
    FileSystem& files_;
    const std::string run_;
    std::mutex mutex_;
    std::vector<Empty> spare_;
};

}  // namespace scopenode::storage
