#include "storage/index/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/core/files.h"
#include "storage/index/migrate.h"

namespace scopenode::storage {
namespace {

constexpr std::size_t kMostBodiesACommit = 64;
// The log restarts in place after a checkpoint, and its file is laid out beforehand: overwriting is cheaper
// to sync than growing a file. Pages are of 4 kB.
constexpr int kCheckpointPages = 1000;
constexpr off_t kLogBytes = 8 << 20;

Error database_error(const SQLite::Exception& e) {
    const int code = e.getErrorCode() & 0xFF;
    if (code == SQLITE_FULL) return {Code::kOutOfResources, "the disk of the index is full"};
    if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_IOERR)
        return {Code::kIo, fmt::format("the index cannot be written: {}", e.what())};
    return {Code::kDatabase, e.what()};
}

// Zeros are no frames to SQLite, which keeps what stands in the file. Only speed hangs on it, so faults are
// passed by.
void lay_out_log(const std::filesystem::path& database) {
    const std::string log = database.string() + "-wal";
    const int fd = ::open(log.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat stat {};
    static const std::vector<char> zeros(1 << 20);
    off_t end = ::fstat(fd, &stat) == 0 ? stat.st_size : kLogBytes;
    while (end < kLogBytes) {
        const ssize_t n = ::pwrite(fd, zeros.data(), zeros.size(), end);
        if (n <= 0) break;
        end += n;
    }
    ::fdatasync(fd);
    ::close(fd);
}

/// Of the exception that is being handled.
Error error_now() {
    try {
        throw;
    } catch (const SQLite::Exception& e) {
        return database_error(e);
    } catch (...) {
        return error_of_current_exception(Code::kDatabase);
    }
}

Status run_guarded(const std::function<Status(Connection&)>& body, Connection& connection) {
    try {
        return body(connection);
    } catch (...) {
        return fail(error_now());
    }
}

}  // namespace

struct Connection::State {
    SQLite::Database database;
    std::map<const char*, SQLite::Statement> statements;  // by address: SQL texts are literals

    State(const std::filesystem::path& file, bool read_only)
        : database(file.string(),
                   read_only ? SQLite::OPEN_READONLY : SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5000) {}
};

Connection::Connection(const std::filesystem::path& file, bool read_only)
    : state_(std::make_unique<State>(file, read_only)) {
    auto& db = state_->database;
    db.exec("PRAGMA foreign_keys = ON");
    if (read_only) return;
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = FULL");
    db.exec("PRAGMA wal_autocheckpoint = 0");
    db.exec("PRAGMA cache_size = -32000");
}

Connection::~Connection() = default;

SQLite::Statement& Connection::prepare(const char* sql) {
    auto found = state_->statements.find(sql);
    if (found == state_->statements.end())
        found = state_->statements.try_emplace(sql, state_->database, sql).first;
    found->second.tryReset();
    found->second.clearBindings();
    return found->second;
}

void Connection::reset_all() {
    for (auto& [sql, statement] : state_->statements) statement.tryReset();
}

std::int64_t Connection::last_row_id() const {
    return state_->database.getLastInsertRowid();
}
int Connection::changes() const {
    return state_->database.getChanges();
}
SQLite::Database& Connection::handle() {
    return state_->database;
}

struct Index::State {
    /// A body that waits for its commit, on the stack of its caller. Without a body: a checkpoint.
    struct Write {
        const std::function<Status(Connection&)>& body;
        Status outcome;
        bool done = false;
        std::condition_variable wake;
    };
    struct Batch {
        std::array<Write*, kMostBodiesACommit> writes;
        std::size_t count = 0;
        auto begin() const { return writes.begin(); }
        auto end() const { return writes.begin() + static_cast<std::ptrdiff_t>(count); }
    };

    State(std::filesystem::path path, const Clock& c, bool ro)
        : file(std::move(path)), clock(c), read_only(ro) {}

    const std::filesystem::path file;
    const Clock& clock;
    const bool read_only;

    // Whoever finds nobody committing does it, for all that wait behind: no hand-over to another thread when
    // one writes alone, one sync for all when many do.
    std::unique_ptr<Connection> writer;
    std::mutex mutex;
    std::deque<Write*> queue;
    bool committing = false;
    std::atomic<std::uint64_t> commits{0}, bodies{0};

    // A checkpoint copies the log into the database beside the commits; the short rest is copied in a turn of
    // the writers, after which SQLite begins the log anew.
    std::unique_ptr<Connection> copier;
    std::thread checkpointer;
    std::mutex checkpoint_mutex;
    std::condition_variable checkpoint_wanted;
    bool wanted = false, stop_checkpoints = false;

    std::mutex readers_mutex;
    std::vector<std::unique_ptr<Connection>> readers;

    void start();
    void stop();
    void run_checkpoints();
    void want_checkpoint();
    Status write(const std::function<Status(Connection&)>& body);
    Batch next_batch();
    void begin(const Batch& batch);
    void commit(const Batch& batch) noexcept;
};

Index::State::Batch Index::State::next_batch() {
    Batch batch;
    while (!queue.empty() && batch.count < kMostBodiesACommit) {
        const bool alone = !queue.front()->body;
        if (alone && batch.count > 0) break;
        batch.writes[batch.count++] = queue.front();
        queue.pop_front();
        if (alone) break;
    }
    return batch;
}

Status Index::State::write(const std::function<Status(Connection&)>& body) {
    Write own{body, {}, false, {}};
    std::unique_lock lock(mutex);
    queue.push_back(&own);
    own.wake.wait(lock, [&] { return own.done || !committing; });
    if (own.done) return own.outcome;
    committing = true;
    while (!own.done) {
        const Batch batch = next_batch();
        lock.unlock();
        commit(batch);
        lock.lock();
        for (Write* write : batch) {
            write->done = true;
            if (write != &own) write->wake.notify_one();
        }
    }
    committing = false;
    if (!queue.empty()) queue.front()->wake.notify_one();
    return own.outcome;
}

void Index::State::run_checkpoints() {
    std::unique_lock lock(checkpoint_mutex);
    for (;;) {
        checkpoint_wanted.wait(lock, [&] { return wanted || stop_checkpoints; });
        if (stop_checkpoints) return;
        wanted = false;
        lock.unlock();
        sqlite3_wal_checkpoint_v2(copier->handle().getHandle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                  nullptr);
        (void)write(nullptr);
        lock.lock();
    }
}

void Index::State::want_checkpoint() {
    {
        std::lock_guard lock(checkpoint_mutex);
        wanted = true;
    }
    checkpoint_wanted.notify_one();
}

void Index::State::start() {
    lay_out_log(file);
    copier = std::make_unique<Connection>(file, false);
    sqlite3_wal_hook(
        writer->handle().getHandle(),
        [](void* self, sqlite3*, const char*, int pages) {
            if (pages >= kCheckpointPages) static_cast<State*>(self)->want_checkpoint();
            return SQLITE_OK;
        },
        this);
    checkpointer = std::thread([this] { run_checkpoints(); });
}

void Index::State::stop() {
    if (!checkpointer.joinable()) return;
    {
        std::lock_guard lock(checkpoint_mutex);
        stop_checkpoints = true;
    }
    checkpoint_wanted.notify_all();
    checkpointer.join();
}

// One transaction, a savepoint for each body when there are several.
void Index::State::begin(const Batch& batch) {
    auto& db = writer->handle();
    writer->prepare("BEGIN IMMEDIATE").exec();
    for (Write* write : batch) {
        if (batch.count > 1) writer->prepare("SAVEPOINT one").exec();
        write->outcome = run_guarded(write->body, *writer);
        const bool undone = sqlite3_get_autocommit(db.getHandle()) != 0;
        if (undone) {
            // A full disk ends the whole transaction: what stood in it before is lost with it.
            const Error why = write->outcome ? Error{Code::kDatabase, "the transaction was undone"}
                                             : write->outcome.error();
            for (Write* lost : batch) lost->outcome = fail(why);
            return;
        }
        if (batch.count == 1) {
            if (!write->outcome) db.exec("ROLLBACK");
        } else {
            if (!write->outcome) db.exec("ROLLBACK TO one");
            writer->prepare("RELEASE one").exec();
        }
    }
}

// One sync for the whole batch. Others wait for the end: what cannot even be reported ends the program.
void Index::State::commit(const Batch& batch) noexcept {
    auto* handle = writer->handle().getHandle();
    if (!batch.writes[0]->body) {
        sqlite3_wal_checkpoint_v2(handle, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
        return;
    }
    try {
        begin(batch);
        writer->reset_all();
        if (sqlite3_get_autocommit(handle) == 0) writer->prepare("COMMIT").exec();
        commits += 1;
        bodies += batch.count;
    } catch (...) {
        const Error why = error_now();
        writer->reset_all();
        if (sqlite3_get_autocommit(handle) == 0) writer->handle().tryExec("ROLLBACK");
        for (Write* write : batch) write->outcome = fail(why);
    }
}

Index::Index(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& file, const Clock& clock,
                                           bool read_only) {
    try {
        auto state = std::make_unique<State>(file, clock, read_only);
        if (read_only && !std::filesystem::exists(file))
            return fail(Code::kNotFound, "no index at {}", file.string());
        auto connection = std::make_unique<Connection>(file, read_only);
        if (read_only) {
            SCOPENODE_TRY(check_version(connection->handle(), file.string()));
            state->readers.push_back(std::move(connection));
        } else {
            SCOPENODE_TRY(migrate(connection->handle(), clock, file.string()));
            state->writer = std::move(connection);
            state->start();
        }
        return std::unique_ptr<Index>(new Index(std::move(state)));
    } catch (const SQLite::Exception& e) {
        Error error = database_error(e);
        error.message = fmt::format("{}: {}", file.string(), error.message);
        return fail(std::move(error));
    }
}

Index::~Index() {
    state_->stop();
}

Status Index::write(std::function<Status(Connection&)> body) {
    if (state_->read_only) return fail(Code::kInternal, "the index was opened to read only");
    if (!body) return fail(Code::kInternal, "nothing to write");
    return state_->write(body);
}

Status Index::read_any(const std::function<Status(Connection&)>& body) {
    std::unique_ptr<Connection> connection;
    {
        std::lock_guard lock(state_->readers_mutex);
        if (!state_->readers.empty()) {
            connection = std::move(state_->readers.back());
            state_->readers.pop_back();
        }
    }
    try {
        if (!connection) connection = std::make_unique<Connection>(state_->file, true);
        Status status;
        {
            SQLite::Transaction snapshot(connection->handle());
            status = run_guarded(body, *connection);
            connection->reset_all();
        }
        std::lock_guard lock(state_->readers_mutex);
        state_->readers.push_back(std::move(connection));
        return status;
    } catch (const SQLite::Exception& e) {
        return fail(database_error(e));
    }
}

const Clock& Index::clock() const {
    return state_->clock;
}
Index::Counters Index::counters() const {
    std::lock_guard lock(state_->mutex);
    return {state_->commits.load(), state_->bodies.load(), state_->queue.size()};
}

Status Index::backup(const std::filesystem::path& to) {
    return guard(Code::kDatabase, [&]() -> Status {
        if (std::filesystem::exists(to)) return fail(Code::kConflict, "{} exists", to.string());
        SQLite::Database from(state_->file.string(), SQLite::OPEN_READONLY, 5000);
        SQLite::Statement copy(from, "VACUUM INTO ?");
        copy.bind(1, to.string());
        copy.exec();
        const int fd = ::open(to.c_str(), O_RDONLY | O_CLOEXEC);
        const bool synced = fd >= 0 && ::fsync(fd) == 0;
        if (fd >= 0) ::close(fd);
        if (!synced) return fail(Code::kIo, "cannot sync {}", to.string());
        return real_files().sync_folder(to.has_parent_path() ? to.parent_path() : ".");
    });
}

}  // namespace scopenode::storage
