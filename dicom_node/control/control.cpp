#include "dicom_node/control/control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"

namespace scopenode::dicom_node {
namespace {

using nlohmann::json;
constexpr const char* kRoom = "control";
constexpr const char* kSocketName = "control.sock";
constexpr std::size_t kMostRequest = 1 << 20;
constexpr int kRequestSeconds = 5;
constexpr int kAnswerSeconds = 600;

std::string system_text(int number) {
    return std::generic_category().message(number);
}

/// A descriptor that is closed with its holder.
class Descriptor {
  public:
    explicit Descriptor(int value) : value_(value) {}
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    int get() const { return value_; }

  private:
    int value_;
};

/// The socket's address by way of its open folder: a socket address holds 107 bytes, a node's path may be
/// longer.
struct Address {
    Descriptor folder{-1};
    sockaddr_un value{};
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&value); }
};

Result<Address> address_in(const std::filesystem::path& node_dir) {
    const auto run = node_dir / "run";
    Address address;
    address.folder = Descriptor(::open(run.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (address.folder.get() < 0)
        return fail(Code::kPeerUnavailable, "no node runs in {}: {}", node_dir.string(), system_text(errno));
    address.value.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", address.folder.get(), kSocketName);
    std::memcpy(address.value.sun_path, path.c_str(), path.size() + 1);
    return address;
}

void limit_waiting(int socket, int seconds) {
    const timeval limit{seconds, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Status write_line(int socket, std::string text) {
    text += '\n';
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t part = ::send(socket, text.data() + done, text.size() - done, MSG_NOSIGNAL);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return fail(Code::kIo, "control socket: {}", system_text(errno));
        done += static_cast<std::size_t>(part);
    }
    return {};
}

Result<std::string> read_line(int socket, std::size_t most) {
    std::string text;
    char buffer[4096];
    while (text.find('\n') == std::string::npos) {
        const ssize_t part = ::recv(socket, buffer, sizeof buffer, 0);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return fail(Code::kTimeout, "no line came over the control socket in time");
        if (part <= 0) return fail(Code::kPeerUnavailable, "the control socket was closed early");
        text.append(buffer, static_cast<std::size_t>(part));
        if (text.size() > most)
            return fail(Code::kInvalidArgument, "a line over the control socket is too long");
    }
    return text.substr(0, text.find('\n'));
}

std::string dump(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json refusal(const Error& error) {
    return {{"ok", false}, {"code", std::string(info(error.code).name)}, {"message", error.message}};
}

Code code_named(const std::string& name) {
#define SCOPENODE_ERROR(code, word, http, dimse, retryable) \
    if (name == #code) return Code::code;
#include "base/core/errors.def"
#undef SCOPENODE_ERROR
    return Code::kInternal;
}

}  // namespace

struct ControlServer::State {
    Handler handler;
    std::filesystem::path path;
    Descriptor listener{-1}, wake{-1};
    std::thread thread;

    void run() {
        for (;;) {
            pollfd waiting[] = {{listener.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
            if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return;
            if (waiting[1].revents != 0) return;
            if (waiting[0].revents == 0) continue;
            const Descriptor peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (peer.get() >= 0) answer(peer.get());
        }
    }

    void answer(int peer) {
        limit_waiting(peer, kRequestSeconds);
        const auto line = read_line(peer, kMostRequest);
        if (!line) return;
        const auto done = guard(Code::kInvalidArgument, [&]() -> Result<std::string> {
            const auto words = json::parse(*line).at("words").get<std::vector<std::string>>();
            return guard(Code::kInternal, [&]() -> Result<std::string> { return handler(words); });
        });
        const json reply = done ? json{{"ok", true}, {"text", *done}} : refusal(done.error());
        if (const auto written = write_line(peer, dump(reply)); !written)
            log::warning(kRoom, "an answer was not delivered: {}", written.error().message);
    }
};

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlServer::~ControlServer() {
    stop();
}

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::filesystem::path& node_dir,
                                                            Handler handler) {
    std::error_code ignored;
    std::filesystem::create_directories(node_dir / "run", ignored);
    auto state = std::make_unique<State>();
    state->handler = std::move(handler);
    state->path = node_dir / "run" / kSocketName;
    SCOPENODE_ASSIGN(const auto address, address_in(node_dir));
    // The node's lock is held by this process: a socket file that is there was left by one that was killed.
    std::filesystem::remove(state->path, ignored);
    state->listener = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    state->wake = Descriptor(::eventfd(0, EFD_CLOEXEC));
    // On Linux the mode of the socket before bind is the mode of its file: at no moment may others connect.
    if (state->listener.get() < 0 || state->wake.get() < 0 || ::fchmod(state->listener.get(), 0600) != 0 ||
        ::bind(state->listener.get(), address.get(), sizeof address.value) != 0 ||
        ::chmod(state->path.c_str(), 0600) != 0 || ::listen(state->listener.get(), 16) != 0)
        return fail(Code::kIo, "cannot open {}: {}", state->path.string(), system_text(errno));
    state->thread = std::thread([s = state.get()] { s->run(); });
    return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

void ControlServer::stop() {
    if (!state_->thread.joinable()) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(state_->wake.get(), &one, sizeof one);
    state_->thread.join();
    std::error_code ignored;
    std::filesystem::remove(state_->path, ignored);
}

Result<std::string> ask_node(const std::filesystem::path& node_dir, const std::vector<std::string>& words) {
    return guard(Code::kInternal, [&]() -> Result<std::string> {
        SCOPENODE_ASSIGN(const auto address, address_in(node_dir));
        const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (socket.get() < 0 || ::connect(socket.get(), address.get(), sizeof address.value) != 0)
            return fail(Code::kPeerUnavailable, "no node runs in {}: {}", node_dir.string(),
                        system_text(errno));
        limit_waiting(socket.get(), kAnswerSeconds);
        SCOPENODE_TRY(write_line(socket.get(), dump({{"words", words}})));
        SCOPENODE_ASSIGN(const auto line, read_line(socket.get(), std::string::npos));
        const json reply = json::parse(line);
        if (reply.at("ok").get<bool>()) return reply.at("text").get<std::string>();
        return fail(
            Error{code_named(reply.at("code").get<std::string>()), reply.at("message").get<std::string>()});
    });
}

}  // namespace scopenode::dicom_node
