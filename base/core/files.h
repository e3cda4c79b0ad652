#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace scopenode {

/// A file being written. Not thread-safe. Closed by the destructor.
class OutputFile {
  public:
    virtual ~OutputFile() = default;
    virtual Status write(std::string_view bytes) = 0;
    /// The disk may begin with what was written; sync() then has less to wait for. A hint.
    virtual void begin_writeback() {}
    /// Bytes are on stable storage when this returns.
    virtual Status sync() = 0;
};

/// The operations on disk that durability rests on; tests put delays and faults here. Thread-safe.
class FileSystem {
  public:
    virtual ~FileSystem() = default;
    /// Creates `path`, which must not exist.
    virtual Result<std::unique_ptr<OutputFile>> create(const std::filesystem::path& path) = 0;
    virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
    virtual Status sync_folder(const std::filesystem::path& folder) = 0;
    virtual Status remove(const std::filesystem::path& path) = 0;
    /// Bytes that can still be written on the file system of `folder`.
    virtual Result<std::uint64_t> free_bytes(const std::filesystem::path& folder) = 0;
};
/// The machine's own.
FileSystem& real_files();

/// A whole file as a string.
Result<std::string> read_file(const std::filesystem::path& path);
/// Write beside, sync, rename, sync the folder: `path` holds the old bytes or the new, never a part.
Status write_file(FileSystem& files, const std::filesystem::path& path, std::string_view bytes);

/// A folder under the system's temporary folder, removed with everything in it by the destructor.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace scopenode
