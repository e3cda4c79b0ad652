#include "dicom_node/dimse/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "dicom_node/dimse/association.h"
#include "dicom_node/dimse/negotiation.h"
#include "dicom_node/dimse/transport.h"

namespace scopenode::dicom_node {
namespace {

constexpr const char* kRoom = "dimse";
/// Connections beyond the cap that may wait for their refusal, which DICOM allows only after their request.
constexpr int kWaitingRoom = 32;
constexpr int kCloseSeconds = 2;

}  // namespace

struct DimseServer::State {
    State(DimseOptions wanted, storage::Archive& store, DimseServices behind)
        : options(std::move(wanted)),
          archive(store),
          services(std::move(behind)),
          layer(options.timeout_seconds) {}

    struct Connection {
        int socket = -1;        ///< a duplicate: stays ours until the thread has ended
        bool accepted = false;  ///< counts against the cap
        bool ended = false;
        std::thread thread;
    };

    const DimseOptions options;
    storage::Archive& archive;
    const DimseServices services;
    QuickLayer layer;
    Listener listener;
    int wake = -1;
    Counters counters;

    std::mutex mutex;
    std::condition_variable changed;
    std::list<Connection> connections;
    int open_associations = 0;
    bool stopping = false;
    std::thread acceptor;

    void accept_all();
    void accept_one();
    void reap();
    void serve(Connection& connection, int socket);
    void converse(Connection& connection, T_ASC_Association* association);
    bool enter(Connection& connection);
    void stop(int drain_seconds);
};

void DimseServer::State::accept_all() {
    for (;;) {
        pollfd waiting[] = {{listener.descriptor, POLLIN, 0}, {wake, POLLIN, 0}};
        if (::poll(waiting, 2, -1) < 0 && errno != EINTR) {
            log::error(kRoom, "waiting for connections failed: no association is accepted any more");
            return;
        }
        if (waiting[1].revents != 0) {
            std::lock_guard lock(mutex);
            if (stopping) return;
            std::uint64_t count = 0;
            [[maybe_unused]] const auto got = ::read(wake, &count, sizeof count);
        }
        reap();
        if (waiting[0].revents != 0) accept_one();
    }
}

void DimseServer::State::accept_one() {
    const int socket = ::accept4(listener.descriptor, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) {
        // Out of descriptors: without a pause this loop would spin on the same waiting connection.
        if (errno == EMFILE || errno == ENFILE) ::poll(nullptr, 0, 50);
        return;
    }
    std::lock_guard lock(mutex);
    if (stopping || connections.size() >= static_cast<std::size_t>(options.max_associations + kWaitingRoom)) {
        ::close(socket);
        return;
    }
    Connection& connection = connections.emplace_back();
    connection.socket = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
    const Status started = guard(Code::kOutOfResources, [&] {
        connection.thread = std::thread([this, &connection, socket] { serve(connection, socket); });
    });
    if (started) return;
    ::close(socket);
    if (connection.socket >= 0) ::close(connection.socket);
    connections.pop_back();
    log::error(kRoom, "no thread for a connection: {}", started.error().message);
}

void DimseServer::State::reap() {
    std::list<Connection> over;
    {
        std::lock_guard lock(mutex);
        for (auto it = connections.begin(); it != connections.end();) {
            const auto next = std::next(it);
            if (it->ended) over.splice(over.end(), connections, it);
            it = next;
        }
    }
    for (auto& connection : over) connection.thread.join();
}

bool DimseServer::State::enter(Connection& connection) {
    std::lock_guard lock(mutex);
    if (stopping || open_associations >= options.max_associations) return false;
    connection.accepted = true;
    ++open_associations;
    return true;
}

void DimseServer::State::serve(Connection& connection, int socket) {
    T_ASC_Network* network = nullptr;
    T_ASC_Association* association = nullptr;
    const Status served = guard(Code::kInternal, [&] {
        const auto received =
            receive_association(socket, layer, options.timeout_seconds, &network, &association);
        if (received.good()) converse(connection, association);
    });
    if (!served) log::error(kRoom, "an association failed: {}", served.error().message);
    if (association) {
        ASC_dropAssociation(association);
        ASC_destroyAssociation(&association);
    }
    if (network) ASC_dropNetwork(&network);

    std::lock_guard lock(mutex);
    if (connection.socket >= 0) ::close(connection.socket);
    connection.socket = -1;
    if (connection.accepted) --open_associations;
    connection.ended = true;
    changed.notify_all();
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(wake, &one, sizeof one);
}

void DimseServer::State::converse(Connection& connection, T_ASC_Association* association) {
    T_ASC_Parameters* parameters = association->params;
    name_implementation(parameters);
    auto refusal = check_request(parameters, options);
    if (!refusal && !enter(connection)) refusal = local_limit_exceeded();
    if (refusal) {
        ++counters.rejected;
        log::warning(kRoom, "association of {} at {} rejected: {}", calling_ae(parameters),
                     peer_address(parameters), refusal->reason);
        ASC_rejectAssociation(association, &refusal->parameters);
        ASC_dropSCPAssociation(association, kCloseSeconds);
        return;
    }
    if (accept_contexts(parameters, services.commitment != nullptr).bad() ||
        ASC_acknowledgeAssociation(association).bad()) {
        ASC_abortAssociation(association);
        return;
    }
    ++counters.accepted;
    log::debug(kRoom, "association of {} at {} accepted", calling_ae(parameters), peer_address(parameters));
    AssociationCommands(association, {options, archive, counters, services}).run();
    ASC_dropSCPAssociation(association, kCloseSeconds);
}

void DimseServer::State::stop(int drain_seconds) {
    {
        std::lock_guard lock(mutex);
        if (stopping) return;
        stopping = true;
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(wake, &one, sizeof one);
    if (acceptor.joinable()) acceptor.join();
    ::close(listener.descriptor);
    {
        std::unique_lock lock(mutex);
        for (auto& connection : connections)
            if (!connection.accepted && connection.socket >= 0) ::shutdown(connection.socket, SHUT_RDWR);
        changed.wait_for(lock, std::chrono::seconds(drain_seconds), [&] { return open_associations == 0; });
        for (auto& connection : connections)
            if (connection.socket >= 0) ::shutdown(connection.socket, SHUT_RDWR);
        changed.wait(lock, [&] {
            for (const auto& connection : connections)
                if (!connection.ended) return false;
            return true;
        });
    }
    reap();
    ::close(wake);
}

DimseServer::DimseServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
DimseServer::~DimseServer() {
    stop(0);
}

Result<std::unique_ptr<DimseServer>> DimseServer::start(const DimseOptions& options,
                                                        storage::Archive& archive, DimseServices services) {
    prepare_network();
    auto state = std::make_unique<State>(options, archive, std::move(services));
    SCOPENODE_ASSIGN(state->listener, open_listener(options.bind, options.port));
    state->wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (state->wake < 0) {
        ::close(state->listener.descriptor);
        return fail(Code::kIo, "cannot make an event descriptor");
    }
    state->acceptor = std::thread([s = state.get()] { s->accept_all(); });
    return std::unique_ptr<DimseServer>(new DimseServer(std::move(state)));
}

int DimseServer::port() const {
    return state_->listener.port;
}

int DimseServer::associations() const {
    std::lock_guard lock(state_->mutex);
    return state_->open_associations;
}

void DimseServer::stop(int drain_seconds) {
    state_->stop(drain_seconds);
}

const DimseServer::Counters& DimseServer::counters() const {
    return state_->counters;
}

}  // namespace scopenode::dicom_node
