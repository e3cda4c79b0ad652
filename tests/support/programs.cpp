#include "tests/support/programs.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace scopenode::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string found(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* path = std::getenv("PATH");
    std::string all = std::string(path ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin";
    for (std::size_t at = 0; at <= all.size();) {
        const std::size_t end = std::min(all.find(':', at), all.size());
        const std::string candidate = all.substr(at, end - at) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        at = end + 1;
    }
    return "";
}

int status_of(int raw) {
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

/// Everything that allocates is done before the fork: the test has threads.
pid_t start(const std::vector<std::string>& argv, int output, const RunOptions& options) {
    const std::string program = found(argv.at(0));
    if (program.empty()) throw std::runtime_error(argv.at(0) + " is not installed");
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::vector<std::string> variables;
    for (char** v = environ; *v; ++v) {
        const std::string one = *v;
        bool replaced = false;
        for (const auto& [name, value] : options.environment)
            replaced = replaced || one.starts_with(name + "=");
        if (!replaced) variables.push_back(one);
    }
    for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
    std::vector<char*> environment;
    for (std::string& v : variables) environment.push_back(v.data());
    environment.push_back(nullptr);
    const std::string folder = options.folder.string();
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid > 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves nothing running
    if (::getppid() != parent) ::_exit(127);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, 0);
    ::dup2(output, 1);
    ::dup2(output, 2);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    if (options.file_size_limit > 0) {
        const rlimit limit{options.file_size_limit, options.file_size_limit};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        ::signal(SIGXFSZ, SIG_IGN);  // write() fails with EFBIG instead
    }
    if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(127);
    ::execve(program.c_str(), words.data(), environment.data());
    ::_exit(127);
}

}  // namespace

ProgramResult run(const std::vector<std::string>& argv, const RunOptions& options) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const pid_t pid = start(argv, ends[1], options);
    ::close(ends[1]);
    ProgramResult result;
    const auto deadline = Clock::now() + options.limit;
    bool late = false;
    while (true) {
        pollfd wait{ends[0], POLLIN, 0};
        const int ready = ::poll(&wait, 1, 200);
        if (ready > 0) {
            char buffer[65536];
            const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
            if (n <= 0) break;
            result.output.append(buffer, static_cast<std::size_t>(n));
        } else if (!late && Clock::now() > deadline) {
            late = true;
            ::kill(pid, SIGKILL);
        }
    }
    ::close(ends[0]);
    int raw = 0;
    while (::waitpid(pid, &raw, 0) < 0 && errno == EINTR) continue;
    result.rc = late ? 124 : status_of(raw);
    return result;
}

Child::Child(const std::vector<std::string>& argv, const fs::path& log, const RunOptions& options) {
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output < 0) throw std::runtime_error("cannot write " + log.string());
    pid_ = start(argv, output, options);
    ::close(output);
    ended_ = false;
}

Child::~Child() {
    if (!ended_) {
        send(SIGKILL);
        wait();
    }
}

Child::Child(Child&& other) noexcept
    : pid_(other.pid_), rc_(other.rc_), ended_(std::exchange(other.ended_, true)) {}

Child& Child::operator=(Child&& other) noexcept {
    if (this == &other) return *this;
    if (!ended_) {
        send(SIGKILL);
        wait();
    }
    pid_ = other.pid_;
    rc_ = other.rc_;
    ended_ = std::exchange(other.ended_, true);
    return *this;
}

bool Child::alive() {
    if (ended_) return false;
    int raw = 0;
    if (::waitpid(pid_, &raw, WNOHANG) != pid_) return true;
    rc_ = status_of(raw);
    ended_ = true;
    return false;
}

void Child::send(int signal_number) {
    if (!ended_) ::kill(pid_, signal_number);
}

int Child::wait() {
    if (ended_) return rc_;
    int raw = 0;
    while (::waitpid(pid_, &raw, 0) < 0 && errno == EINTR) continue;
    rc_ = status_of(raw);
    ended_ = true;
    return rc_;
}

bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit) {
    const auto deadline = Clock::now() + limit;
    while (!condition()) {
        if (Clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
}

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool ok = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (fd >= 0) ::close(fd);
    if (!ok) throw std::runtime_error("no free port");
    return ntohs(address.sin_port);
}

bool have_program(const std::string& name) {
    return !found(name).empty();
}

}  // namespace scopenode::test
