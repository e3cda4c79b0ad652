#include "base/crash_mark.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace scopenode {
namespace {

int mark = -1;

std::filesystem::path memory_mark(std::filesystem::path file) {
    return file += ".oom";
}

/// How often the kernel has killed for want of memory since it started; 0 where it does not tell.
long memory_kills() {
    std::ifstream counters("/proc/vmstat");
    std::string name;
    for (long value = 0; counters >> name >> value;)
        if (name == "oom_kill") return value;
    return 0;
}

void on_fault(int signal_number) {
    const char text[] = {static_cast<char>('0' + signal_number / 10),
                         static_cast<char>('0' + signal_number % 10), '\n'};
    (void)!::write(mark, text, sizeof text);
    ::raise(signal_number);  // the default action again (SA_RESETHAND)
}

}  // namespace

Status mark_crashes(const std::filesystem::path& file) {
    mark = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (mark < 0) return fail(Code::kIo, "cannot write {}: {}", file.string(), std::strerror(errno));
    std::ofstream(memory_mark(file)) << memory_kills() << '\n';
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
    return crashed || (told && memory_kills() > before);
}

}  // namespace scopenode
