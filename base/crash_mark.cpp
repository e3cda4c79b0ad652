#include "base/crash_mark.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace scopenode {
namespace {

int mark = -1;

std::filesystem::path memory_mark(std::filesystem::path file) {
    return file += ".oom";
}

/// This process's cgroup (v2), as "0::/path" in /proc/self/cgroup says.
std::filesystem::path own_memory_events() {
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);)
        if (line.starts_with("0::/")) return "/sys/fs/cgroup" + line.substr(3) + "/memory.events";
    return {};
}

void on_fault(int signal_number) {
    const char text[] = {static_cast<char>('0' + signal_number / 10),
                         static_cast<char>('0' + signal_number % 10), '\n'};
    (void)!::write(mark, text, sizeof text);
    ::raise(signal_number);  // the default action again (SA_RESETHAND)
}

}  // namespace

long memory_kills(const std::filesystem::path& memory_events) {
    std::ifstream counters(memory_events);
    for (std::string line; std::getline(counters, line);)
        if (line.starts_with("oom_kill ")) return std::atol(line.c_str() + 9);
    return 0;
}

Status mark_crashes(const std::filesystem::path& file) {
    mark = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (mark < 0) return fail(Code::kIo, "cannot write {}: {}", file.string(), std::strerror(errno));
    std::ofstream(memory_mark(file)) << memory_kills(own_memory_events()) << '\n';
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        struct sigaction before {};
        if (::sigaction(number, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
        struct sigaction action {};
        action.sa_handler = on_fault;
        action.sa_flags = SA_RESETHAND;
        ::sigaction(number, &action, nullptr);
    }
    return {};
}

bool take_crash_mark(const std::filesystem::path& file) {
    std::error_code ec;
    const auto size = std::filesystem::file_size(file, ec);
    const bool crashed = !ec && size > 0;
    long before = 0;
    const bool told = static_cast<bool>(std::ifstream(memory_mark(file)) >> before);
    std::filesystem::remove(file, ec);
    std::filesystem::remove(memory_mark(file), ec);
    return crashed || (told && memory_kills(own_memory_events()) > before);
}

}  // namespace scopenode
