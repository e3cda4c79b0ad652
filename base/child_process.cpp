#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace scopenode {
namespace {

namespace fs = std::filesystem;
constexpr auto kPollPause = std::chrono::milliseconds(5);
constexpr int kPipeBytes = 1 << 20;  // a slice in HU
constexpr long kLongestPoll = 60000;

std::vector<std::string> changed_environment(const ChildProcess::Environment& changes) {
    std::vector<std::string> all;
    for (char** entry = environ; *entry; ++entry) {
        const std::string text(*entry);
        const std::string name = text.substr(0, text.find('='));
        bool kept = true;
        for (const auto& change : changes) kept = kept && change.first != name;
        if (kept) all.push_back(text);
    }
    for (const auto& [name, value] : changes)
        if (!value.empty()) all.push_back(name + "=" + value);
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

/// The same descriptor above standard error, so that dup2() to a standard one is never a no-op.
int above_standard(int descriptor) {
    if (descriptor < 0 || descriptor > 2) return descriptor;
    const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    ::close(descriptor);
    return moved;
}

struct Pipe {
    int read_end = -1, write_end = -1;

    bool open() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        read_end = above_standard(ends[0]);
        write_end = above_standard(ends[1]);
        return read_end >= 0 && write_end >= 0;
    }
    ~Pipe() {
        for (const int end : {read_end, write_end})
            if (end >= 0) ::close(end);
    }
};

/// Writing to a child that has ended is an answer here, not the end of this program: holds SIGPIPE back in
/// this thread.
class NoBrokenPipe {
  public:
    NoBrokenPipe() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoBrokenPipe() {
        if (!sigismember(&before_, SIGPIPE)) {
            const timespec now{0, 0};
            while (::sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) continue;
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoBrokenPipe(const NoBrokenPipe&) = delete;
    NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

  private:
    sigset_t pipe_{}, before_{};
};

/// Waits until the pipe has room or bytes, or its other end is gone.
bool await_end(int descriptor, short what, ChildProcess::Deadline deadline) {
    while (true) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return false;
        pollfd one{descriptor, what, 0};
        const int ready = ::poll(&one, 1, static_cast<int>(std::min<long>(left.count(), kLongestPoll)));
        if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    }
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& argv, const Environment& environment,
                                         const fs::path& log, Talks talks) {
    std::vector<std::string> words = argv;
    if (words.empty()) return fail(Code::kInvalidArgument, "no program to start");
    if (words.front().find('/') == std::string::npos) words.front() = find_program(argv.front());
    if (words.front().empty()) return fail(Code::kNotFound, "{} is not installed", argv.front());
    auto variables = changed_environment(environment);
    const auto arguments = pointers(words);
    const auto values = pointers(variables);
    const int output = above_standard(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (output < 0) return fail(Code::kIo, "cannot write {}", log.string());
    Pipe to, from;
    if (talks == Talks::kToUs && (!to.open() || !from.open())) {
        ::close(output);
        return fail(Code::kOutOfResources, "no pipe to {}", argv.front());
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setpgid(0, 0);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::dup2(to.read_end >= 0 ? to.read_end : above_standard(::open("/dev/null", O_RDONLY)), 0);
        ::dup2(from.write_end >= 0 ? from.write_end : output, 1);
        ::dup2(output, 2);
        ::close_range(3, ~0U, 0);  // what a library opened without close-on-exec is not the child's
        ::execve(arguments.front(), arguments.data(), values.data());
        ::_exit(127);
    }
    ::close(output);
    if (pid < 0) return fail(Code::kOutOfResources, "cannot start {}", argv.front());
    ChildProcess child(pid);
    child.to_ = std::exchange(to.write_end, -1);
    child.from_ = std::exchange(from.read_end, -1);
    // The flag belongs to our ends alone: the child's own reads and writes wait.
    if (child.to_ >= 0) ::fcntl(child.to_, F_SETFL, O_NONBLOCK);
    if (child.from_ >= 0) {
        ::fcntl(child.from_, F_SETFL, O_NONBLOCK);
        ::fcntl(child.from_, F_SETPIPE_SZ, kPipeBytes);
    }
    return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      status_(other.status_),
      to_(std::exchange(other.to_, -1)),
      from_(std::exchange(other.from_, -1)) {}
ChildProcess::~ChildProcess() {
    close_pipes();
    stop();
}

void ChildProcess::close_pipes() {
    for (int* end : {&to_, &from_})
        if (*end >= 0) ::close(std::exchange(*end, -1));
}

ChildProcess::Heard ChildProcess::send(std::string_view bytes, Deadline deadline) {
    const NoBrokenPipe shield;
    while (!bytes.empty()) {
        const ssize_t n = ::write(to_, bytes.data(), bytes.size());
        if (n > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (n < 0 && errno == EAGAIN) {
            if (!await_end(to_, POLLOUT, deadline)) return Heard::kTooLate;
        } else if (n < 0 && errno != EINTR) {
            return Heard::kEnded;
        }
    }
    return Heard::kAll;
}

ChildProcess::Heard ChildProcess::receive(std::span<char> bytes, Deadline deadline) {
    while (!bytes.empty()) {
        const ssize_t n = ::read(from_, bytes.data(), bytes.size());
        if (n > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        } else if (n < 0 && errno == EAGAIN) {
            if (!await_end(from_, POLLIN, deadline)) return Heard::kTooLate;
        } else if (n == 0 || errno != EINTR) {
            return Heard::kEnded;
        }
    }
    return Heard::kAll;
}

std::optional<std::string> ChildProcess::read_some(Deadline deadline) {
    std::string bytes(1 << 16, '\0');
    while (true) {
        const ssize_t n = ::read(from_, bytes.data(), bytes.size());
        if (n > 0) return bytes.substr(0, static_cast<std::size_t>(n));
        if (n == 0 || (errno != EINTR && errno != EAGAIN)) return std::nullopt;
        if (errno == EAGAIN && !await_end(from_, POLLIN, deadline)) return std::string();
    }
}

void ChildProcess::pause(bool on) {
    if (pid_ >= 0) ::kill(-pid_, on ? SIGSTOP : SIGCONT);
}

void ChildProcess::set_niceness(int niceness) {
    if (pid_ >= 0) ::setpriority(PRIO_PROCESS, static_cast<id_t>(pid_), niceness);
}

bool ChildProcess::alive() {
    if (pid_ < 0) return false;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
    status_ = status;
    pid_ = -1;
    return false;
}

int ChildProcess::wait() {
    while (pid_ >= 0) {
        int status = 0;
        if (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
        status_ = status;
        pid_ = -1;
    }
    return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
}

void ChildProcess::stop(std::chrono::seconds limit) {
    if (!alive()) return;
    ::kill(pid_, SIGTERM);
    if (await([&] { return !alive(); }, limit)) return;
    ::kill(-pid_, SIGKILL);
    wait();
}

int ChildProcess::kill() {
    if (alive()) {
        ::kill(-pid_, SIGKILL);
        ::kill(pid_, SIGKILL);  // it may not be in its group yet
    }
    return wait();
}

double ChildProcess::resident_mib() const {
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmRSS:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) / 1024;
    return 0;
}

std::string find_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(std::string(path ? path : "") + ":/usr/sbin:/sbin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        const auto candidate = fs::path(folder) / name;
        if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate.string();
    }
    return {};
}

bool await(const std::function<bool()>& condition, std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(kPollPause);
    }
    return true;
}

}  // namespace scopenode
