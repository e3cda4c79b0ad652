#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmdata/dctk.h>

#include <chrono>
#include <thread>

#include "storage/dicom/header.h"
#include "storage/index/queue.h"
#include "tests/support/data.h"
#include "tests/unit/storage/node.h"

namespace scopenode::storage {
namespace {

using test::Ct;
using test::Node;

/// The machine's files, except that the disk is full at one operation.
class FullDisk final : public FileSystem {
  public:
    enum class At { kNever, kCreate, kWrite, kSync, kFolder, kRename };
    At at = At::kNever;
    int folder_syncs = 0;

    Result<std::unique_ptr<OutputFile>> create(const std::filesystem::path& path) override {
        if (at == At::kCreate) return full();
        SCOPENODE_ASSIGN(auto file, real_files().create(path));
        return std::unique_ptr<OutputFile>(new File(*this, std::move(file)));
    }
    Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
        if (at == At::kRename) return full();
        return real_files().rename(from, to);
    }
    Status sync_folder(const std::filesystem::path& folder) override {
        if (at == At::kFolder) return full();
        ++folder_syncs;
        return real_files().sync_folder(folder);
    }
    Status remove(const std::filesystem::path& path) override { return real_files().remove(path); }
    Result<std::uint64_t> free_bytes(const std::filesystem::path& folder) override {
        return real_files().free_bytes(folder);
    }

  private:
    static tl::unexpected<Error> full() { return fail(Code::kOutOfResources, "disk full"); }
    struct File final : OutputFile {
        File(FullDisk& d, std::unique_ptr<OutputFile> f) : disk(d), file(std::move(f)) {}
        Status write(std::string_view bytes) override {
            if (disk.at == At::kWrite) return full();
            return file->write(bytes);
        }
        Status sync() override {
            if (disk.at == At::kSync) return full();
            return file->sync();
        }
        FullDisk& disk;
        std::unique_ptr<OutputFile> file;
    };
};

TEST_CASE("an object is stored with its rows and its event and verifies") {
    Node node;
    CHECK(node.store(Ct{}) == StoreOutcome::kStored);
    const auto row = node.index->read([](Connection& db) { return find_instance(db, "2.25.3"); });
    REQUIRE(*row);
    CHECK(read_file(node.archive->absolute((*row)->path)) == Ct{}.bytes());
    CHECK((*row)->file_sha256 == sha256_hex(Ct{}.bytes()));
    const auto events = node.index->read([](Connection& db) { return pending_events(db, 10); });
    REQUIRE(events->size() == 1);
    CHECK(events->front().instance_id == (*row)->id);
    CHECK(node.archive->verify()->empty());
    std::filesystem::resize_file(node.archive->absolute((*row)->path), 10);
    CHECK(node.archive->verify()->size() == 1);
}

TEST_CASE("objects share the sync of their folder and files that none took go with the archive") {
    FullDisk disk;
    Node node(disk);
    const int before = disk.folder_syncs;
    for (int i = 0; i < 8; ++i) {
        Ct ct;
        ct.sop_instance_uid = fmt::format("2.25.9.{}", i + 1);
        REQUIRE(node.store(ct) == StoreOutcome::kStored);
    }
    CHECK(disk.folder_syncs == before + 1);
    const auto files = [&] {
        int n = 0;
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(node.folder.path() / "objects"))
            n += entry.is_regular_file() ? 1 : 0;
        return n;
    };
    CHECK(files() > 8);
    node.archive.reset();
    CHECK(files() == 8);
}

TEST_CASE("sixteen threads that store at once share commits") {
    Node node;
    std::vector<std::thread> threads;
    std::atomic<int> stored{0};
    for (int t = 0; t < 16; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 5; ++i) {
                Ct ct;
                ct.sop_instance_uid = fmt::format("2.25.9.{}.{}", t + 1, i + 1);
                if (node.store(ct) == StoreOutcome::kStored) ++stored;
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(stored == 80);
    const auto counters = node.index->counters();
    CHECK(counters.bodies == 80);
    CHECK(counters.commits < 80);
    CHECK(node.count("SELECT count(*) FROM instances") == 80);
    CHECK(node.archive->verify()->empty());
}

TEST_CASE("five senders of a new patient's first object make one patient and one study") {
    Node node;
    std::vector<std::thread> threads;
    for (int t = 0; t < 5; ++t)
        threads.emplace_back([&, t] {
            Ct ct;
            if (t % 2 == 0) ct.sop_instance_uid = fmt::format("2.25.30.{}", t + 1);
            (void)node.store(ct);
        });
    for (auto& thread : threads) thread.join();
    CHECK(node.count("SELECT count(*) FROM patients") == 1);
    CHECK(node.count("SELECT count(*) FROM studies") == 1);
    CHECK(node.count("SELECT count(*) FROM series") == 1);
    CHECK(node.count("SELECT count(*) FROM instances") == 4);
    CHECK(node.count("SELECT count(*) FROM remarks WHERE kind = 'duplicate'") == 1);
    CHECK(node.files_under("objects") == 4);
}

TEST_CASE("a patient is an ID with an issuer and an empty ID is one patient a study") {
    Node node;
    const auto store = [&](const char* id, int study, const char* issuer) {
        Ct ct;
        ct.patient_id = id;
        ct.study_uid = fmt::format("2.25.5.{}", study);
        ct.series_uid = fmt::format("2.25.6.{}", study);
        ct.sop_instance_uid = fmt::format("2.25.7.{}", study);
        REQUIRE(node.store(ct, issuer) == StoreOutcome::kStored);
    };
    store("A", 1, "");
    store("A", 2, "");
    CHECK(node.count("SELECT count(*) FROM patients") == 1);
    store("A", 3, "OTHER");
    CHECK(node.count("SELECT count(*) FROM patients") == 2);
    store("", 4, "");
    store("", 5, "");
    CHECK(node.count("SELECT count(*) FROM patients") == 4);
    Ct contradiction;
    contradiction.patient_id = "B";
    contradiction.study_uid = "2.25.5.1";
    REQUIRE(node.store(contradiction) == StoreOutcome::kStored);
    CHECK(node.count("SELECT count(*) FROM patients") == 4);
    CHECK(node.count("SELECT count(*) FROM remarks WHERE kind = 'identity'") > 0);
}

TEST_CASE("the same object again is kept once") {
    Node node;
    REQUIRE(node.store(Ct{}));
    CHECK(node.store(Ct{}) == StoreOutcome::kDuplicate);
    CHECK(node.files_under("objects") == 1);
    CHECK(node.count("SELECT count(*) FROM events") == 1);
}

TEST_CASE("the same object in another lossless transfer syntax is a duplicate") {
    Node node;
    REQUIRE(node.store(Ct{}));
    const auto file = node.folder.path() / "rle.dcm";
    REQUIRE(write_file(real_files(), file, Ct{}.bytes()));
    DcmRLEEncoderRegistration::registerCodecs();
    const Codecs codecs;
    DcmFileFormat dicom;
    REQUIRE(dicom.loadFile(file.c_str()).good());
    REQUIRE(dicom.getDataset()->chooseRepresentation(EXS_RLELossless, nullptr).good());
    REQUIRE(dicom.saveFile(file.c_str(), EXS_RLELossless).good());
    DcmRLEEncoderRegistration::cleanup();
    const auto bytes = read_file(file);
    CHECK(sha256_hex(*bytes) != sha256_hex(Ct{}.bytes()));
    CHECK(node.store(*bytes, "2.25.3") == StoreOutcome::kDuplicate);
    CHECK(node.files_under("objects") == 1);
}

TEST_CASE("other content under a known UID is kept beside and leaves the study as it was") {
    Node node;
    REQUIRE(node.store(Ct{}));
    Ct other;
    other.grey = 41;
    CHECK(node.store(other) == StoreOutcome::kConflict);
    CHECK(node.store(other) == StoreOutcome::kDuplicate);
    CHECK(node.files_under("objects") == 2);
    const auto seen = node.index->read([](Connection& db) { return instances_of(db, 1); });
    REQUIRE(seen->size() == 1);
    CHECK(seen->front().file_sha256 == sha256_hex(Ct{}.bytes()));
    CHECK(node.count("SELECT count(*) FROM instances WHERE conflict = 1") == 1);
    CHECK(node.count("SELECT count(*) FROM events") == 1);
    CHECK(node.count("SELECT count(*) FROM remarks WHERE kind = 'conflict'") == 1);
    CHECK(node.archive->verify()->empty());
}

TEST_CASE("what cannot be taken goes to quarantine with its reason") {
    Node node;
    const std::string good = Ct{}.bytes();
    Code expected = Code::kCannotUnderstand;
    std::string bytes = good, uid = "2.25.3", sop_class = test::kCt;
    SUBCASE("not DICOM") {
        bytes = std::string(3000, 'x');
    }
    SUBCASE("pixel data cut off") {
        bytes = good.substr(0, good.size() - 100);
    }
    SUBCASE("header cut off") {
        bytes = good.substr(0, 600);
    }
    SUBCASE("empty") {
        bytes.clear();
    }
    SUBCASE("another instance in the command") {
        uid = "2.25.99";
        expected = Code::kDoesNotMatchSopClass;
    }
    SUBCASE("another class in the command") {
        sop_class = "1.2.840.10008.5.1.4.1.1.7";
        expected = Code::kDoesNotMatchSopClass;
    }
    SUBCASE("illegal study UID") {
        bytes.replace(bytes.rfind("2.25.1"), 6, "2.x5.1");
        expected = Code::kDoesNotMatchSopClass;
    }
    const auto stored = node.store(bytes, uid, "", sop_class);
    REQUIRE_FALSE(stored);
    CHECK(stored.error().code == expected);
    const auto rows = node.index->read([](Connection& db) { return list_quarantine(db, 10); });
    REQUIRE(rows->size() == 1);
    CHECK(read_file(node.archive->absolute(rows->front().path)) == bytes);
    CHECK_FALSE(rows->front().reason_text.empty());
    CHECK(node.files_under("objects") == 0);
    CHECK(node.count("SELECT count(*) FROM instances") == 0);
}

TEST_CASE("a full disk keeps nothing and says so whatever ran into it") {
    FullDisk disk;
    Node node(disk);
    using At = FullDisk::At;
    // Files are made in lots, so the faults of making them come before the first lot is there.
    for (const At at : {At::kCreate, At::kFolder, At::kWrite, At::kSync}) {
        disk.at = at;
        const auto stored = node.store(Ct{});
        REQUIRE_FALSE(stored);
        CHECK(stored.error().code == Code::kOutOfResources);
        CHECK(node.files_under("objects") == 0);
        CHECK(node.count("SELECT count(*) FROM instances") == 0);
    }
    disk.at = At::kRename;
    CHECK(node.store("no DICOM", "2.25.3").error().code == Code::kOutOfResources);
    disk.at = At::kNever;
    CHECK(node.store(Ct{}) == StoreOutcome::kStored);
}

TEST_CASE("the sweep takes what an earlier process left out of objects and nothing is lost") {
    Node node;
    REQUIRE(node.store(Ct{}));
    auto arriving = node.archive->stage();
    REQUIRE(arriving);
    REQUIRE(arriving->append("half"));
    const auto orphan = node.folder.path() / "objects" / "ab" / "orphan.dcm";
    REQUIRE(write_file(real_files(), orphan, "left"));
    const auto hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
    std::filesystem::last_write_time(orphan, hour_ago);
    const auto row = node.index->read([](Connection& db) { return find_instance(db, "2.25.3"); });
    std::filesystem::last_write_time(node.archive->absolute((*row)->path), hour_ago);
    const auto spare = orphan.parent_path() / "spare.dcm";
    REQUIRE(write_file(real_files(), spare, ""));
    CHECK(*node.archive->sweep() == 1);
    CHECK_FALSE(std::filesystem::exists(spare));
    CHECK_FALSE(std::filesystem::exists(orphan));
    CHECK(node.files_under("objects") == 2);
    const auto rows = node.index->read([](Connection& db) { return list_quarantine(db, 10); });
    REQUIRE(rows->size() == 1);
    CHECK(rows->front().reason_code == "NOT_IN_INDEX");
    CHECK(read_file(node.archive->absolute(rows->front().path)) == "left");
    CHECK(*node.archive->sweep() == 0);
}

TEST_CASE("only a node that serves sweeps and a fault keeps what could not be moved") {
    FullDisk disk;
    Node node(disk);
    const auto orphan = node.folder.path() / "objects" / "ab" / "orphan.dcm";
    REQUIRE(write_file(real_files(), orphan, "left"));
    node.archive.reset();
    auto again = Archive::open(node.folder.path(), *node.index, disk, 0);
    REQUIRE(again);
    again->reset();
    CHECK(std::filesystem::exists(orphan));
    again = Archive::open(node.folder.path(), *node.index, disk, 0);
    disk.at = FullDisk::At::kRename;
    CHECK(again->get()->sweep().error().code == Code::kOutOfResources);
    CHECK(std::filesystem::exists(orphan));
    CHECK(node.count("SELECT count(*) FROM quarantine") == 0);
    disk.at = FullDisk::At::kNever;
    again->get()->sweep_later();
    while (std::filesystem::exists(orphan)) std::this_thread::yield();
    again->reset();
    CHECK(node.count("SELECT count(*) FROM quarantine") == 1);
}

TEST_CASE("an object that cannot be put back is not answered as kept") {
    FullDisk disk;
    Node node(disk);
    REQUIRE(node.store(Ct{}) == StoreOutcome::kStored);
    const auto row = node.index->read([](Connection& db) { return find_instance(db, "2.25.3"); });
    std::filesystem::remove(node.archive->absolute((*row)->path));
    disk.at = FullDisk::At::kRename;
    CHECK(node.store(Ct{}).error().code == Code::kOutOfResources);
}

TEST_CASE("an object whose file is missing or damaged is put back when it comes again") {
    Node node;
    REQUIRE(node.store(Ct{}) == StoreOutcome::kStored);
    const auto row = node.index->read([](Connection& db) { return find_instance(db, "2.25.3"); });
    const auto file = node.archive->absolute((*row)->path);
    SUBCASE("missing") { std::filesystem::remove(file); }
    SUBCASE("cut") { std::filesystem::resize_file(file, 100); }
    REQUIRE(node.archive->verify()->size() == 1);
    CHECK(node.store(Ct{}) == StoreOutcome::kDuplicate);
    CHECK(node.archive->verify()->empty());
    CHECK(read_file(file) == Ct{}.bytes());
    CHECK(node.count("SELECT count(*) FROM remarks WHERE text LIKE '%replaced%'") == 1);
    CHECK(node.store(Ct{}) == StoreOutcome::kDuplicate);
    CHECK(node.count("SELECT count(*) FROM remarks WHERE text LIKE '%replaced%'") == 1);
}

TEST_CASE("an own result is stored with its rows or not at all") {
    Node node;
    Ct own;
    own.sop_instance_uid = "2.25.77";
    CHECK_FALSE(node.archive->store_own(own.bytes(),
                                        [](Connection&) { return Status(fail(Code::kConflict, "no")); }));
    CHECK(node.count("SELECT count(*) FROM instances") == 0);
    CHECK(node.files_under("objects") == 0);
    REQUIRE(node.archive->store_own(own.bytes(), [](Connection&) { return Status(); }));
    CHECK(node.count("SELECT count(*) FROM instances") == 1);
    CHECK(node.count("SELECT count(*) FROM events") == 0);
    CHECK(node.count("SELECT count(*) FROM series WHERE own = 1") == 1);
}

TEST_CASE("slices without legal UIDs are refused with 0xA900") {
    const auto file = test::data_folder() / "rsna2019" / "ID_000012eaf.dcm";
    if (!std::filesystem::exists(file)) {
        MESSAGE("skipped: no " << file.string());
        return;
    }
    Node node;
    const auto stored = node.store(*read_file(file), "ID_000012eaf");
    REQUIRE_FALSE(stored);
    CHECK(info(stored.error().code).dimse_status == 0xA900);
    CHECK(node.files_under("quarantine") == 1);
}

}  // namespace
}  // namespace scopenode::storage
