// flatten_h5() on damaged HDF5 files. HDF5's library is known to crash on some, so each input is read in a
// process of its own, as in the program; such crashes are counted. What must hold: the process ends within
// its limits, and what it calls a success is a file that our parser takes.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>

#include "base/core/files.h"
#include "ml/safetensors.h"
#include "ml/weights/keras_h5.h"

using namespace scopenode;

namespace {

constexpr std::size_t kOutcomes = 4096;
/// libFuzzer sees no coverage of the child: what came of an input is its coverage.
__attribute__((section("__libfuzzer_extra_counters"))) std::uint8_t outcomes[kOutcomes];

struct Counts {
    long read = 0, refused = 0, crashed = 0, stopped = 0;
    ~Counts() {
        std::fprintf(stderr,
                     "keras_h5: %ld read, %ld refused, %ld crashes of HDF5 held in the child, %ld stopped\n",
                     read, refused, crashed, stopped);
    }
};

template <class Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

enum ChildEnd { kRead = 0, kRefused = 10, kUnreadable = 11 };

[[noreturn]] void child(const std::filesystem::path& file, int said) {
    const rlimit seconds{5, 5}, no_core{0, 0};
    ::setrlimit(RLIMIT_CPU, &seconds);
    ::setrlimit(RLIMIT_CORE, &no_core);
    // A crash in the library is expected; its report is not wanted.
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL}) ::signal(signal, SIG_DFL);
    const auto flat = guard(Code::kDamagedModel, [&] { return ml::flatten_h5(file); });
    const std::string text = flat ? "read" : flat.error().message;
    (void)!::write(said, text.data(), std::min<std::size_t>(text.size(), 512));
    if (!flat) ::_exit(text.empty() ? kUnreadable : kRefused);
    ::_exit(ml::parse_safetensors(*flat, "flat") ? kRead : kUnreadable);
}

}  // namespace

/// HDF5 is full of addresses: bytes change where they stand, since a shifted file is refused at once.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t,
                                               unsigned int seed) {
    std::minstd_rand random(seed);
    if (size == 0) return 0;
    for (unsigned changes = 1 + unsigned(random() % 8); changes > 0; --changes) {
        std::uint8_t& byte = data[random() % size];
        const std::uint8_t values[] = {0,
                                       0xff,
                                       std::uint8_t(byte + 1),
                                       std::uint8_t(byte - 1),
                                       std::uint8_t(byte ^ (1U << random() % 8)),
                                       std::uint8_t(random())};
        byte = values[random() % 6];
    }
    return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Counts counts;
    static const TemporaryFolder folder;
    // The library sets itself up once here, not in every child.
    static const bool set_up = ml::flatten_h5(folder.path() / "none").has_value();
    if (set_up) std::abort();
    const auto file = folder.path() / "input.h5";
    if (std::FILE* out = std::fopen(file.c_str(), "wb")) {
        std::fwrite(data, 1, size, out);
        std::fclose(out);
    }
    int pipes[2];
    if (::pipe2(pipes, O_CLOEXEC) != 0) std::abort();
    const pid_t pid = ::fork();
    if (pid == 0) child(file, pipes[1]);
    ::close(pipes[1]);
    char text[512];
    // libFuzzer's own timer interrupts both.
    const ssize_t length = uninterrupted([&] { return ::read(pipes[0], text, sizeof text); });
    ::close(pipes[0]);
    int status = 0;
    if (pid < 0 || uninterrupted([&] { return ::waitpid(pid, &status, 0); }) != pid) std::abort();
    std::string outcome(text, length > 0 ? std::size_t(length) : 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kRead) {
        ++counts.read;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == kRefused) {
        ++counts.refused;
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGXCPU && WTERMSIG(status) != SIGKILL) {
        ++counts.crashed;
        outcome = "signal";
    } else if (WIFSIGNALED(status)) {
        ++counts.stopped;
        outcome = "stopped";
    } else {
        // A sanitizer's report on our own code, or a success that cannot be read.
        std::fprintf(stderr, "keras_h5: the child ended with status %d\n", WEXITSTATUS(status));
        std::abort();
    }
    outcomes[std::hash<std::string>()(outcome) % kOutcomes] = 1;
    return 0;
}
