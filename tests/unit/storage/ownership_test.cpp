#include <atomic>
#include <thread>

#include "storage/index/queue.h"
#include "tests/unit/storage/node.h"

namespace scopenode::storage {
namespace {

using test::Ct;
using test::Node;

TEST_CASE("a series that comes under a second study stays with its first one and leaves nobody waiting") {
    Node node;
    REQUIRE(node.store(Ct{}) == StoreOutcome::kStored);
    Ct stray;
    stray.study_uid = "2.25.100";
    stray.sop_instance_uid = "2.25.101";
    REQUIRE(node.store(stray) == StoreOutcome::kStored);
    const auto first = node.index->read([](Connection& db) { return find_study(db, "2.25.1"); });
    const auto second = node.index->read([](Connection& db) { return find_study(db, "2.25.100"); });
    REQUIRE(*first);
    REQUIRE(*second);
    CHECK((*first)->instances == 2);
    CHECK((*second)->instances == 0);
    CHECK((*second)->state == "not_eligible");
    for (const auto& study : {*first, *second}) {
        const auto remarks = node.index->read([&](Connection& db) { return remarks_of(db, study->id); });
        REQUIRE(remarks->size() == 1);
        CHECK(remarks->front().kind == "identity");
        CHECK(remarks->front().sop_instance_uid == "2.25.101");
    }
    const auto events = node.index->read([](Connection& db) { return pending_events(db, 10); });
    REQUIRE(events->size() == 2);
    CHECK(events->back().study_id == (*first)->id);
}

TEST_CASE("threads that bring the same other content at once keep it once") {
    Node node;
    REQUIRE(node.store(Ct{}) == StoreOutcome::kStored);
    std::atomic<int> conflicts{0}, duplicates{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            Ct other;
            other.grey = 50 + t % 2;
            const auto stored = node.store(other);
            if (stored == StoreOutcome::kConflict) ++conflicts;
            if (stored == StoreOutcome::kDuplicate) ++duplicates;
        });
    for (auto& thread : threads) thread.join();
    CHECK(conflicts == 2);
    CHECK(duplicates == 4);
    CHECK(node.count("SELECT count(*) FROM instances WHERE conflict = 1") == 2);
    CHECK(node.files_under("objects") == 3);
}

TEST_CASE("space that is to stay free is kept free") {
    TemporaryFolder folder;
    const SystemClock clock;
    const auto index = Index::open(folder.path() / "index.sqlite", clock);
    REQUIRE(index);
    const auto archive = Archive::open(folder.path(), **index, real_files(), std::uint64_t{1} << 60);
    REQUIRE(archive);
    const auto staged = (*archive)->stage();
    REQUIRE_FALSE(staged);
    CHECK(staged.error().code == Code::kOutOfResources);
}

TEST_CASE("the check finds a missing and a changed file") {
    Node node;
    REQUIRE(node.store(Ct{}) == StoreOutcome::kStored);
    Ct second;
    second.sop_instance_uid = "2.25.4";
    REQUIRE(node.store(second) == StoreOutcome::kStored);
    const auto path_of = [&](const char* uid) {
        const auto row = node.index->read([&](Connection& db) { return find_instance(db, uid); });
        return node.archive->absolute((*row)->path);
    };
    std::filesystem::remove(path_of("2.25.3"));
    std::string bytes = *read_file(path_of("2.25.4"));
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::filesystem::remove(path_of("2.25.4"));
    REQUIRE(write_file(real_files(), path_of("2.25.4"), bytes));
    const auto problems = node.archive->verify();
    REQUIRE(problems->size() == 2);
    CHECK(problems->at(0).find("missing") != std::string::npos);
    CHECK(problems->at(1).find("other content") != std::string::npos);
}

}  // namespace
}  // namespace scopenode::storage
