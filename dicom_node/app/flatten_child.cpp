#include "dicom_node/app/flatten_child.h"

#include <signal.h>

#include "base/child_process.h"
#include "base/core/files.h"
#include "ml/weights/weights_file.h"

namespace scopenode::dicom_node {
namespace {

/// The child's own error line, without what every error of the program begins with.
std::string reason(const std::string& log) {
    constexpr std::string_view kHead = "scopenode: ";
    const std::size_t begin = log.rfind(kHead);
    if (begin == log.npos) return "it cannot be read";
    const std::string line = log.substr(begin + kHead.size());
    std::string text;
    for (const char c : line.substr(0, line.find('\n')))
        text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    return text;
}

}  // namespace

Result<std::string> flatten_in_child(const std::filesystem::path& file, const std::string& program,
                                     std::chrono::seconds limit) {
    const TemporaryFolder folder;
    const auto out = folder.path() / "flat.safetensors", log = folder.path() / "log";
    SCOPENODE_ASSIGN(auto child, ChildProcess::start({program, "weights", "flatten-h5",
                                                      std::filesystem::absolute(file).string(), out.string()},
                                                     {}, log));
    if (!await([&] { return !child.alive(); }, limit)) {
        child.stop(std::chrono::seconds(1));
        return fail(Code::kDamagedModel,
                    "reading it took longer than {} s and was stopped: the file is damaged or far too large",
                    limit.count());
    }
    const int rc = child.wait();
    if (rc == 0) return read_file(out);
    if (rc == 128 + SIGXCPU || rc == 128 + SIGKILL || rc == 128 + SIGXFSZ)
        return fail(Code::kDamagedModel,
                    "reading it needed more time or memory than any real file: it is damaged");
    if (rc > 128)
        return fail(Code::kDamagedModel,
                    "HDF5's library crashed on it (signal {}), in a process of its own: the file is damaged "
                    "or hostile, "
                    "fetch it again",
                    rc - 128);
    const auto said = read_file(log);
    return fail(Code::kDamagedModel, "{}", said ? reason(*said) : "it cannot be read");
}

}  // namespace scopenode::dicom_node
