#include "dicom_node/dimse/transport.h"

#include <dcmtk/dcmnet/dcmtrans.h>
#include <dcmtk/dcmnet/dul.h>
#include <dcmtk/ofstd/ofstd.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "base/core/ids.h"

namespace scopenode::dicom_node {
namespace {

constexpr std::size_t kReadAhead = 65536;
constexpr std::size_t kDataPduHead = 12;  ///< PDU and PDV header, which DCMTK writes apart from the data
constexpr char kDataPduType = 0x04;

/// Held while DCMTK's variable names a socket; given back as soon as a connection has been made of it.
std::mutex& handle_mutex() {
    static std::mutex mutex;
    return mutex;
}
thread_local std::unique_lock<std::mutex>* handle_lock = nullptr;

void free_handle() {
    if (!handle_lock || !handle_lock->owns_lock()) return;
    dcmExternalSocketHandle.set(DCMNET_INVALID_SOCKET);
    handle_lock->unlock();
}

class QuickConnection final : public DcmTCPConnection {
  public:
    QuickConnection(int socket, int timeout_seconds) : DcmTCPConnection(socket) {
        const int on = 1;
        ::fcntl(socket, F_SETFD, FD_CLOEXEC);
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const timeval limit{timeout_seconds, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        acknowledge();
    }

    ssize_t read(void* buffer, size_t size) override {
        if (first_ == last_) {
            if (size >= kReadAhead) return receive(buffer, size);
            if (ahead_.empty()) ahead_.resize(kReadAhead);
            const ssize_t got = receive(ahead_.data(), ahead_.size());
            if (got <= 0) return got;
            first_ = 0;
            last_ = static_cast<std::size_t>(got);
        }
        const std::size_t part = std::min(size, last_ - first_);
        std::memcpy(buffer, ahead_.data() + first_, part);
        first_ += part;
        return static_cast<ssize_t>(part);
    }

    ssize_t write(void* buffer, size_t size) override {
        // A header goes out together with the data that follow it: one packet, one waking of the peer.
        const bool head = size == kDataPduHead && *static_cast<const char*>(buffer) == kDataPduType;
        return ::send(getSocket(), buffer, size, MSG_NOSIGNAL | (head ? MSG_MORE : 0));
    }

    OFBool networkDataAvailable(int timeout) override { return available(timeout * 1000) ? OFTrue : OFFalse; }

    bool available(int milliseconds) {
        if (first_ != last_) return true;
        pollfd waiting{getSocket(), POLLIN, 0};
        int found = 0;
        do found = ::poll(&waiting, 1, milliseconds);
        while (found < 0 && errno == EINTR);
        return found > 0;
    }

  private:
    ssize_t receive(void* buffer, size_t size) {
        ssize_t got = 0;
        do got = ::recv(getSocket(), buffer, size, 0);
        while (got < 0 && errno == EINTR);
        acknowledge();
        return got;
    }
    void acknowledge() {
        const int on = 1;
        ::setsockopt(getSocket(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }

    std::vector<char> ahead_;
    std::size_t first_ = 0, last_ = 0;
};

std::string system_text(int number) {
    return std::generic_category().message(number);
}

}  // namespace

void prepare_network() {
    static std::once_flag once;
    std::call_once(once, [] {
        ::setenv("TCP_NODELAY", "1", 1);
        dcmDisableGethostbyaddr.set(OFTrue);
        dcmConnectionTimeout.set(10);
    });
}

Result<Listener> open_listener(const std::string& bind, int port) {
    addrinfo wanted{};
    wanted.ai_family = AF_INET;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_PASSIVE;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(bind.c_str(), std::to_string(port).c_str(), &wanted, &found); rc != 0)
        return fail(Code::kInvalidSettings, "cannot listen on {}: {}", bind, ::gai_strerror(rc));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(found, ::freeaddrinfo);
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return fail(Code::kIo, "cannot open a socket: {}", system_text(errno));
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    if (::bind(socket, found->ai_addr, found->ai_addrlen) != 0 || ::listen(socket, 128) != 0 ||
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
        const int number = errno;
        ::close(socket);
        if (number == EADDRINUSE)
            return fail(Code::kInUse, "port {} on {} is in use: choose another port in node.json", port,
                        bind);
        return fail(Code::kIo, "cannot listen on {}:{}: {}: check address and port in node.json", bind, port,
                    system_text(number));
    }
    return Listener{socket, ntohs(own.sin_port)};
}

DcmTransportConnection* QuickLayer::createConnection(DcmNativeSocketType socket, OFBool secure) {
    free_handle();
    return secure ? nullptr : new QuickConnection(socket, timeout_seconds_);
}

OFCondition receive_association(int socket, QuickLayer& layer, int timeout_seconds, T_ASC_Network** network,
                                T_ASC_Association** association) {
    std::unique_lock lock(handle_mutex());
    handle_lock = &lock;
    dcmExternalSocketHandle.set(socket);
    OFCondition done = ASC_initializeNetwork(NET_ACCEPTOR, 0, timeout_seconds, network);
    if (done.good()) done = ASC_setTransportLayer(*network, &layer, 0);
    if (done.good())
        done = ASC_receiveAssociation(*network, association, kMaxPdu, nullptr, nullptr, OFFalse, DUL_NOBLOCK,
                                      timeout_seconds);
    const bool taken = !lock.owns_lock();
    free_handle();
    handle_lock = nullptr;
    if (!taken) ::close(socket);
    return done;
}

bool data_waiting(T_ASC_Association* association, std::chrono::milliseconds wait) {
    auto* connection =
        dynamic_cast<QuickConnection*>(DUL_getTransportConnection(association->DULassociation));
    return connection && connection->available(static_cast<int>(wait.count()));
}

const std::string& implementation_class_uid() {
    static const std::string uid = uid_from_text("scopenode: implementation class");
    return uid;
}

void name_implementation(T_ASC_Parameters* parameters) {
    OFStandard::strlcpy(parameters->ourImplementationClassUID, implementation_class_uid().c_str(),
                        sizeof parameters->ourImplementationClassUID);
    OFStandard::strlcpy(parameters->ourImplementationVersionName, kImplementationVersion,
                        sizeof parameters->ourImplementationVersionName);
}

}  // namespace scopenode::dicom_node
