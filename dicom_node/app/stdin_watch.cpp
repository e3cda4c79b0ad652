#include "dicom_node/app/stdin_watch.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <thread>

namespace scopenode::dicom_node {

void end_with_stdin() {
    std::thread([] {
        std::array<char, 256> thrown_away{};
        for (;;) {
            const ssize_t got = ::read(STDIN_FILENO, thrown_away.data(), thrown_away.size());
            if (got > 0 || (got < 0 && errno == EINTR)) continue;
            constexpr std::string_view kWords =
                "scopenode: standard input was closed: the process that started this is gone; go on with "
                "--resume\n";
            [[maybe_unused]] const ssize_t said = ::write(STDERR_FILENO, kWords.data(), kWords.size());
            // Not exit(): other threads are at work on what it would take down.
            ::_exit(1);
        }
    }).detach();
}

}  // namespace scopenode::dicom_node
