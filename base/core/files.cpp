#include "base/core/files.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "base/core/ids.h"

namespace scopenode {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> system_failure(const char* what, const fs::path& path) {
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(full ? Code::kOutOfResources : Code::kIo, "{} {}: {}", what, path.string(), std::strerror(number));
}

class RealOutputFile final : public OutputFile {
  public:
    RealOutputFile(int descriptor, fs::path path) : descriptor_(descriptor), path_(std::move(path)) {}
    ~RealOutputFile() override { ::close(descriptor_); }

    Status write(std::string_view bytes) override {
        while (!bytes.empty()) {
            const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return system_failure("cannot write", path_);
            bytes.remove_prefix(static_cast<std::size_t>(n));
            written_ += n;
        }
        if (written_ - begun_ >= kWritebackBytes) begin_writeback();
        return {};
    }

    Status sync() override {
        if (::fdatasync(descriptor_) != 0) return system_failure("cannot sync", path_);
        return {};
    }

    void begin_writeback() override {
#ifdef __linux__
        (void)::sync_file_range(descriptor_, begun_, written_ - begun_, SYNC_FILE_RANGE_WRITE);
#endif
        begun_ = written_;
    }

  private:
    static constexpr off_t kWritebackBytes = 1 << 20;
    int descriptor_;
    fs::path path_;
    off_t written_ = 0, begun_ = 0;
};

class RealFileSystem final : public FileSystem {
  public:
    Result<std::unique_ptr<OutputFile>> create(const fs::path& path) override {
        const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0) return system_failure("cannot create", path);
        return std::make_unique<RealOutputFile>(fd, path);
    }
    Status rename(const fs::path& from, const fs::path& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) return system_failure("cannot rename to", to);
        return {};
    }
    Status sync_folder(const fs::path& folder) override {
        const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return system_failure("cannot open folder", folder);
        const int rc = ::fsync(fd);
        const int number = errno;
        ::close(fd);
        errno = number;
        if (rc != 0) return system_failure("cannot sync folder", folder);
        return {};
    }
    Status remove(const fs::path& path) override {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_failure("cannot remove", path);
        return {};
    }
    Result<std::uint64_t> free_bytes(const fs::path& folder) override {
        struct statvfs stat {};
        if (::statvfs(folder.c_str(), &stat) != 0) return system_failure("cannot look at", folder);
        return static_cast<std::uint64_t>(stat.f_bavail) * stat.f_frsize;
    }
};

}  // namespace

FileSystem& real_files() {
    static RealFileSystem files;
    return files;
}

Result<std::string> read_file(const fs::path& path) {
    std::error_code ec;
    if (fs::is_directory(path, ec)) return fail(Code::kInvalidArgument, "{} is a folder, not a file", path.string());
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(fs::exists(path, ec) ? Code::kIo : Code::kNotFound, "cannot read {}", path.string());
    std::ostringstream out;
    out << in.rdbuf();
    if (in.bad()) return fail(Code::kIo, "cannot read {}", path.string());
    return std::move(out).str();
}

Status write_file(FileSystem& files, const fs::path& path, std::string_view bytes) {
    fs::path beside = path;
    beside += "." + random_hex().substr(0, 8) + ".part";
    {
        SCOPENODE_ASSIGN(auto file, files.create(beside));
        Status written = file->write(bytes);
        if (written) written = file->sync();
        if (!written) {
            (void)files.remove(beside);
            return written;
        }
    }
    SCOPENODE_TRY(files.rename(beside, path));
    return files.sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

TemporaryFolder::TemporaryFolder()
    : path_(fs::temp_directory_path() / ("scopenode-" + random_hex().substr(0, 12))) {
    fs::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

}  // namespace scopenode
