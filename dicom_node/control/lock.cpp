#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "dicom_node/control/control.h"

namespace scopenode::dicom_node {

NodeLock::NodeLock(int descriptor) : descriptor_(descriptor) {}
NodeLock::NodeLock(NodeLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
NodeLock::~NodeLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Result<NodeLock> NodeLock::take(const std::filesystem::path& node_dir) {
    const auto folder = node_dir / "run";
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    const auto path = folder / "lock";
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return fail(Code::kIo, "cannot open {}: {}", path.string(), std::generic_category().message(errno));
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        const int number = errno;
        char holder[24] = {};
        const ssize_t length = ::pread(descriptor, holder, sizeof holder - 1, 0);
        ::close(descriptor);
        if (number != EWOULDBLOCK)
            return fail(Code::kIo, "cannot lock {}: {}", path.string(),
                        std::generic_category().message(number));
        const std::string pid =
            length > 0 ? std::string(holder, static_cast<std::size_t>(length)) : "unknown";
        return fail(Code::kInUse, "node {} is in use by process {}", node_dir.string(),
                    pid.substr(0, pid.find('\n')));
    }
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(descriptor, 0) != 0 ||
        ::pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
        ::close(descriptor);
        return fail(Code::kIo, "cannot write {}", path.string());
    }
    return NodeLock(descriptor);
}

}  // namespace scopenode::dicom_node
