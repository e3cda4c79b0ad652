#pragma once
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/result.h"
#include "storage/dicom/header.h"
#include "storage/index/database.h"

namespace scopenode::storage {

/// An object while it arrives: a file under its final name that has no row yet. The destructor removes it
/// unless it was stored or quarantined. Not thread-safe.
class StagedObject {
  public:
    ~StagedObject();
    StagedObject(StagedObject&&) noexcept;
    StagedObject& operator=(StagedObject&&) = delete;
    /// Bytes of the Part 10 file, in order; hashed on the way.
    Status append(std::string_view bytes);

  private:
    friend class Archive;
    StagedObject();
    struct State;
    std::unique_ptr<State> state_;
};

/// What the association said about the object.
struct StoreContext {
    std::string calling_ae, peer_address;
    std::string sop_class_uid, sop_instance_uid;  ///< of the C-STORE command
    std::string transfer_syntax_uid;
    std::string default_issuer;  ///< of the peer, from the settings
};

enum class StoreOutcome { kStored, kDuplicate, kConflict };

/// The objects on disk and their rows. `store` returns when file, folder and rows would survive a power cut.
/// Thread-safe; as many threads as like.
///   <node>/objects/<2 hex>/<32 hex>.dcm   instances, conflict copies
///   <node>/quarantine/<32 hex>.dcm        objects that were refused
class Archive {
  public:
    /// Makes the folders.
    static Result<std::unique_ptr<Archive>> open(const std::filesystem::path& node, Index& index,
                                                 FileSystem& files, std::uint64_t keep_free_bytes);
    ~Archive();

    /// kOutOfResources (0xA700) when less than keep_free_bytes would stay free.
    Result<StagedObject> stage();
    /// Sync, read the header, compare with what is known, one transaction {instance row, event}.
    /// Errors: kDoesNotMatchSopClass (command and data set differ, or illegal UIDs: 0xA900) and
    /// kCannotUnderstand (0xC000), both with a copy in quarantine; kOutOfResources, kIo, kDatabase (0xA700)
    /// with nothing kept.
    Result<StoreOutcome> store(StagedObject object, const StoreContext& context);

    /// A result of this node (whole Part 10 file), stored under its own UIDs in the transaction of `rows`,
    /// which runs after the instance row; both or neither.
    Status store_own(std::string_view bytes, std::function<Status(Connection&)> rows);
    /// Several at once: all of them with the rows, or nothing.
    Status store_own(const std::vector<std::string_view>& objects, std::function<Status(Connection&)> rows);

    /// The header of a stored object. Those of the last objects are at hand once; others are read from disk.
    Result<InstanceHeader> header(const std::string& path) const;
    std::filesystem::path absolute(const std::string& path) const;

    /// Every row against its file: existence, size, sha256. Problems in words, one a line.
    Result<std::vector<std::string>> verify();
    /// Takes object files without a row that an earlier process left out of `objects`: empty ones are removed,
    /// others go to quarantine, because the index may be older than they are (restored from a backup). How many
    /// went there.
    Result<int> sweep();
    /// The same on a thread of its own, which ends with the archive.
    void sweep_later();

    Index& index();

  private:
    struct State;
    explicit Archive(std::unique_ptr<State> state);
    Result<std::vector<std::filesystem::path>> files_without_row();
    std::thread& sweeper();
    const std::atomic<bool>& closing() const;
    const std::string& run() const;
    FileSystem& files();
    std::unique_ptr<State> state_;
};

}  // namespace scopenode::storage
