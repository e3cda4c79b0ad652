#include "storage/archive/archive.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "storage/archive/object_files.h"
#include "storage/archive/staged.h"
#include "storage/dicom/coerced.h"
#include "storage/dicom/digest.h"
#include "storage/dicom/poor_header.h"
#include "storage/index/catalog.h"
#include "storage/index/feedback.h"

namespace scopenode::storage {
namespace {

namespace fs = std::filesystem;

Status check_identity(const InstanceHeader& h, const StoreContext& c) {
    if (h.study_uid.empty() || h.series_uid.empty())
        return fail(Code::kCannotUnderstand, "the data set has no {} Instance UID",
                    h.study_uid.empty() ? "Study" : "Series");
    if (h.sop_class_uid != c.sop_class_uid || h.sop_instance_uid != c.sop_instance_uid)
        return fail(Code::kDoesNotMatchSopClass, "SOP class or instance of command and data set differ");
    for (const std::string* uid : {&h.sop_class_uid, &h.sop_instance_uid, &h.study_uid, &h.series_uid})
        if (!is_legal_uid(*uid)) return fail(Code::kDoesNotMatchSopClass, "illegal UID '{:.64}'", *uid);
    return {};
}

Result<bool> same_content(const fs::path& a, const fs::path& b) {
    SCOPENODE_ASSIGN(const std::string first, content_digest(a));
    SCOPENODE_ASSIGN(const std::string second, content_digest(b));
    return first == second;
}

/// Headers of the objects that came last, until somebody asks. Thread-safe.
class RecentHeaders {
  public:
    void put(const std::string& path, InstanceHeader header) {
        std::lock_guard lock(mutex_);
        if (headers_.size() >= kMost) headers_.clear();
        headers_.emplace(path, std::move(header));
    }
    std::optional<InstanceHeader> take(const std::string& path) {
        std::lock_guard lock(mutex_);
        const auto found = headers_.find(path);
        if (found == headers_.end()) return std::nullopt;
        InstanceHeader header = std::move(found->second);
        headers_.erase(found);
        return header;
    }

  private:
    static constexpr std::size_t kMost = 1024;
    std::mutex mutex_;
    std::unordered_map<std::string, InstanceHeader> headers_;
};

}  // namespace

struct Archive::State {
    State(fs::path n, Index& i, FileSystem& f, std::uint64_t keep)
        : node(std::move(n)), index(i), files(f), keep_free(keep), object_files(node, files) {}

    const fs::path node;
    Index& index;
    FileSystem& files;
    const std::uint64_t keep_free;
    ObjectFiles object_files;
    RecentHeaders recent;
    std::atomic<bool> closing{false};
    std::thread sweeper;

    Result<StagedObject::State> create();
    NewInstance row(const StagedObject::State& staged, const InstanceHeader& header,
                    const StoreContext& context) const;
    Result<bool> insert_if_new(const NewInstance& instance);
    Result<StoreOutcome> compare_and_keep(StagedObject::State& staged, NewInstance instance);
    Result<std::optional<StoreOutcome>> own_came_back(StagedObject::State& staged,
                                                      const NewInstance& instance);
    bool holds(const InstanceRow& row, const StagedObject::State& staged) const;
    Result<bool> put_back(const InstanceRow& row, StagedObject::State& staged);
    Status quarantine(StagedObject::State& staged, const Error& error, const StoreContext& context);
};

Archive::Archive(std::unique_ptr<State> state) : state_(std::move(state)) {}

Archive::~Archive() {
    state_->closing = true;
    if (state_->sweeper.joinable()) state_->sweeper.join();
}

Result<std::unique_ptr<Archive>> Archive::open(const fs::path& node, Index& index, FileSystem& files,
                                               std::uint64_t keep_free_bytes) {
    auto state = std::make_unique<State>(node, index, files, keep_free_bytes);
    auto made = guard(Code::kIo, [&] {
        fs::create_directories(node / "quarantine");
        for (int i = 0; i < 256; ++i) fs::create_directories(node / "objects" / fmt::format("{:02x}", i));
    });
    SCOPENODE_TRY(made);
    SCOPENODE_TRY(files.sync_folder(node / "objects"));
    SCOPENODE_TRY(files.sync_folder(node));
    return std::unique_ptr<Archive>(new Archive(std::move(state)));
}

Result<StagedObject::State> Archive::State::create() {
    SCOPENODE_ASSIGN(const std::uint64_t free, files.free_bytes(node));
    if (free < keep_free)
        return fail(Code::kOutOfResources, "{} MB free on the disk of the archive, {} MB are kept",
                    free >> 20, keep_free >> 20);
    SCOPENODE_ASSIGN(ObjectFiles::Empty empty, object_files.take());
    StagedObject::State staged;
    staged.files = &files;
    staged.path = std::move(empty.path);
    staged.absolute = node / staged.path;
    staged.file = std::move(empty.file);
    staged.hash = std::make_unique<Sha256>();
    return staged;
}

Result<StagedObject> Archive::stage() {
    SCOPENODE_ASSIGN(StagedObject::State staged, state_->create());
    StagedObject object;
    object.state_ = std::make_unique<StagedObject::State>(std::move(staged));
    return object;
}

NewInstance Archive::State::row(const StagedObject::State& staged, const InstanceHeader& header,
                                const StoreContext& context) const {
    NewInstance n;
    n.header = header;
    n.issuer = header.patient_id_issuer.empty() ? context.default_issuer : header.patient_id_issuer;
    n.path = staged.path.string();
    n.file_sha256 = staged.sha256;
    n.bytes = staged.bytes;
    n.calling_ae = context.calling_ae;
    n.received = index.clock().now();
    return n;
}

// False when the UID is known; nothing is written then.
Result<bool> Archive::State::insert_if_new(const NewInstance& instance) {
    bool inserted = false;
    SCOPENODE_TRY(index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto known, find_instance(db, instance.header.sop_instance_uid));
        if (known) return {};
        SCOPENODE_TRY(insert_instance(db, instance));
        inserted = true;
        return {};
    }));
    return inserted;
}

// A known UID: kept once when the content is the same, beside the first when it is not.
Result<StoreOutcome> Archive::State::compare_and_keep(StagedObject::State& staged, NewInstance instance) {
    const std::string& uid = instance.header.sop_instance_uid;
    const auto known_contents = [&](Connection& db) -> Result<std::vector<InstanceRow>> {
        SCOPENODE_ASSIGN(std::vector<InstanceRow> rows, conflict_copies(db, uid));
        SCOPENODE_ASSIGN(const auto first, find_instance(db, uid));
        if (!first) return fail(Code::kDatabase, "instance {} is gone", uid);
        rows.insert(rows.begin(), *first);
        return rows;
    };
    SCOPENODE_ASSIGN(const auto own, own_came_back(staged, instance));
    if (own) return *own;
    instance.conflict = true;
    // Again when another thread has added a content meanwhile, which may be ours.
    for (std::size_t compared = 0;;) {
        SCOPENODE_ASSIGN(const std::vector<InstanceRow> known, index.read(known_contents));
        const std::int64_t study = known.front().study_id;
        for (; compared < known.size(); ++compared) {
            if (!holds(known[compared], staged)) continue;
            SCOPENODE_ASSIGN(const bool repaired, put_back(known[compared], staged));
            const char* said = repaired ? "came again: its file was missing or damaged and has been replaced"
                                        : "came again with the same content: kept once";
            SCOPENODE_TRY(index.write([&](Connection& db) {
                return add_remark(db, study, {instance.received, "duplicate", uid, said});
            }));
            return StoreOutcome::kDuplicate;
        }
        bool kept = false;
        SCOPENODE_TRY(index.write([&](Connection& db) -> Status {
            SCOPENODE_ASSIGN(const auto now_known, known_contents(db));
            if (now_known.size() > compared) return {};
            SCOPENODE_ASSIGN(const Inserted inserted, insert_instance(db, instance));
            kept = true;
            // Somebody who answers under our UID is heard.
            SCOPENODE_ASSIGN(const bool is_own, is_own_object(db, uid));
            if (is_own) SCOPENODE_TRY(add_received_event(db, inserted));
            return add_remark(db, study,
                              {instance.received, "conflict", uid,
                               "came again with other content: both are kept, the first is used"});
        }));
        if (!kept) continue;
        staged.keep();
        return StoreOutcome::kConflict;
    }
}

// A result of this node that a PACS sends back: kept once, however the PACS has coerced its header. With
// another body it is somebody's answer under our UID, which goes the way of every other content (nothing is
// returned).
Result<std::optional<StoreOutcome>> Archive::State::own_came_back(StagedObject::State& staged,
                                                                  const NewInstance& instance) {
    const std::string& uid = instance.header.sop_instance_uid;
    std::optional<InstanceRow> own;
    SCOPENODE_TRY(index.read([&](Connection& db) -> Result<bool> {
        SCOPENODE_ASSIGN(const bool is_own, is_own_object(db, uid));
        if (!is_own) return false;
        SCOPENODE_ASSIGN(own, find_instance(db, uid));
        return true;
    }));
    if (!own) return std::optional<StoreOutcome>();
    SCOPENODE_ASSIGN(const bool repaired, put_back(*own, staged));
    Coercion coercion;
    if (!repaired && own->file_sha256 != staged.sha256) {
        const auto compared = compare_copies(node / own->path, staged.absolute);
        if (!compared || !compared->same_body) return std::optional<StoreOutcome>();
        coercion = *compared;
    }
    const std::string said =
        repaired ? "own result came back: its file was missing or damaged and has been replaced"
                 : in_words(coercion);
    SCOPENODE_TRY(index.write([&](Connection& db) {
        return add_remark_once(db, own->study_id, {instance.received, "OWN_RESULT", uid, said});
    }));
    return std::optional<StoreOutcome>(StoreOutcome::kDuplicate);
}

bool Archive::State::holds(const InstanceRow& row, const StagedObject::State& staged) const {
    if (row.file_sha256 == staged.sha256) return true;
    const auto same = same_content(node / row.path, staged.absolute);
    return same && *same;
}

// What is answered as kept must be there: a file that is not what its row says gives way to the same bytes.
Result<bool> Archive::State::put_back(const InstanceRow& row, StagedObject::State& staged) {
    if (row.file_sha256 != staged.sha256) return false;
    if (const auto digest = file_sha256(node / row.path); digest && *digest == row.file_sha256) return false;
    SCOPENODE_TRY(files.rename(staged.absolute, node / row.path));
    staged.keep();
    SCOPENODE_TRY(files.sync_folder((node / row.path).parent_path()));
    return true;
}

// An object of which no copy could be kept is not answered for good: the sender shall keep it.
Status Archive::State::quarantine(StagedObject::State& staged, const Error& error,
                                  const StoreContext& context) {
    const fs::path path = fs::path("quarantine") / staged.path.filename();
    SCOPENODE_TRY(files.rename(staged.absolute, node / path));
    staged.keep();
    SCOPENODE_TRY(files.sync_folder(node / "quarantine"));
    const QuarantineRow row{0,
                            index.clock().now(),
                            path.string(),
                            std::string(info(error.code).name),
                            error.message,
                            context.calling_ae,
                            context.sop_instance_uid};
    return index.write([&](Connection& db) { return add_quarantine(db, row); });
}

Result<StoreOutcome> Archive::store(StagedObject object, const StoreContext& context) {
    StagedObject::State& staged = *object.state_;
    // The disk writes while the header is read from the page cache.
    staged.end();
    auto header = read_poor_header(staged.absolute);
    SCOPENODE_TRY(staged.file->sync());
    staged.file.reset();
    Status identity = header ? check_identity(*header, context) : Status(fail(header.error()));
    if (!identity) {
        SCOPENODE_TRY(state_->quarantine(staged, identity.error(), context));
        return fail(identity.error());
    }
    const NewInstance instance = state_->row(staged, *header, context);
    SCOPENODE_ASSIGN(const bool inserted, state_->insert_if_new(instance));
    if (!inserted) return state_->compare_and_keep(staged, instance);
    staged.keep();
    state_->recent.put(instance.path, std::move(*header));
    return StoreOutcome::kStored;
}

Status Archive::store_own(std::string_view bytes, std::function<Status(Connection&)> rows) {
    return store_own(std::vector<std::string_view>{bytes}, std::move(rows));
}

Status Archive::store_own(const std::vector<std::string_view>& objects,
                          std::function<Status(Connection&)> rows) {
    std::vector<StagedObject> staged;
    std::vector<NewInstance> instances;
    for (const std::string_view bytes : objects) {
        SCOPENODE_ASSIGN(StagedObject object, stage());
        SCOPENODE_TRY(object.append(bytes));
        StagedObject::State& state = *object.state_;
        state.end();
        SCOPENODE_TRY(state.file->sync());
        state.file.reset();
        SCOPENODE_ASSIGN(const InstanceHeader header, read_header(state.absolute));
        instances.push_back(state_->row(state, header, {}));
        instances.back().own = true;
        staged.push_back(std::move(object));
    }
    SCOPENODE_TRY(state_->index.write([&](Connection& db) -> Status {
        for (const NewInstance& instance : instances) {
            const std::string& uid = instance.header.sop_instance_uid;
            SCOPENODE_ASSIGN(const auto known, find_instance(db, uid));
            if (known) return fail(Code::kConflict, "result {} is stored already", uid);
            SCOPENODE_TRY(insert_instance(db, instance));
        }
        return rows(db);
    }));
    for (StagedObject& object : staged) object.state_->keep();
    return {};
}

Result<InstanceHeader> Archive::header(const std::string& path) const {
    if (auto recent = state_->recent.take(path)) return std::move(*recent);
    return read_header(absolute(path));
}

fs::path Archive::absolute(const std::string& path) const {
    return state_->node / path;
}
Index& Archive::index() {
    return state_->index;
}
std::thread& Archive::sweeper() {
    return state_->sweeper;
}
const std::atomic<bool>& Archive::closing() const {
    return state_->closing;
}
const std::string& Archive::run() const {
    return state_->object_files.run();
}
FileSystem& Archive::files() {
    return state_->files;
}

}  // namespace scopenode::storage
