#include <SQLiteCpp/SQLiteCpp.h>

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "storage/index/audit.h"
#include "storage/index/migrate.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"
#include "tests/unit/storage/node.h"

namespace scopenode::storage {
namespace {

using test::Ct;
using test::Node;

TEST_CASE("a fresh index has its version and opens again") {
    const TemporaryFolder folder;
    const SystemClock clock;
    const auto file = folder.path() / "index.sqlite";
    CHECK(Index::open(file, clock, true).error().code == Code::kNotFound);
    REQUIRE(Index::open(file, clock));
    REQUIRE(Index::open(file, clock));
    const auto reader = Index::open(file, clock, true);
    REQUIRE(reader);
    CHECK_FALSE((*reader)->write([](Connection&) -> Status { return {}; }));
    SQLite::Database raw(file.string());
    CHECK(raw.execAndGet("SELECT count(*) FROM schema_migrations").getInt() ==
          raw.execAndGet("PRAGMA user_version").getInt());
}

TEST_CASE("an index of a newer program is refused and both versions are named") {
    const TemporaryFolder folder;
    const SystemClock clock;
    const auto file = folder.path() / "index.sqlite";
    REQUIRE(Index::open(file, clock));
    SQLite::Database(file.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99");
    for (const bool read_only : {false, true}) {
        const auto opened = Index::open(file, clock, read_only);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == Code::kNewerDatabase);
        CHECK(opened.error().message.find("99") != std::string::npos);
        CHECK(opened.error().message.find(fmt::format("up to {}", newest_version())) != std::string::npos);
    }
}

TEST_CASE("a file that is no database is refused and stays as it was") {
    const TemporaryFolder folder;
    const SystemClock clock;
    const auto file = folder.path() / "index.sqlite";
    const std::string garbage(5000, 'x');
    REQUIRE(write_file(real_files(), file, garbage));
    const auto opened = Index::open(file, clock);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Code::kDatabase);
    CHECK(opened.error().message.find("not a database") != std::string::npos);
    CHECK(read_file(file) == garbage);
}

TEST_CASE("an edited migration is refused") {
    const TemporaryFolder folder;
    const SystemClock clock;
    const auto file = folder.path() / "index.sqlite";
    REQUIRE(Index::open(file, clock));
    SQLite::Database(file.string(), SQLite::OPEN_READWRITE)
        .exec("UPDATE schema_migrations SET checksum = 'x'");
    CHECK(Index::open(file, clock).error().code == Code::kDatabase);
}

TEST_CASE("a write without a body is a fault and a body that throws undoes only itself") {
    Node node;
    CHECK(node.index->write({}).error().code == Code::kInternal);
    CHECK_FALSE(node.index->write([](Connection&) -> Status { throw std::runtime_error("thrown"); }));
    CHECK(node.index->write([](Connection& db) { return add_quarantine(db, QuarantineRow{}); }));
    CHECK(node.count("SELECT count(*) FROM quarantine") == 1);
}

TEST_CASE("a commit that fails is told to its writer and the next one goes on") {
    Node node;
    const Status failed = node.index->write([](Connection& db) -> Status {
        db.handle().exec("PRAGMA defer_foreign_keys = ON");
        db.handle().exec(
            "INSERT INTO series (study, series_uid, modality, description, body_part, series_number)"
            " VALUES (4711, '2.25.1', '', '', '', '')");
        return {};
    });
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Code::kDatabase);
    CHECK(node.count("SELECT count(*) FROM series") == 0);
    CHECK(node.index->write([](Connection& db) { return add_quarantine(db, QuarantineRow{}); }));
    CHECK(node.count("SELECT count(*) FROM quarantine") == 1);
}

TEST_CASE("bodies that wait together share a commit and only the failed one is undone") {
    Node node;
    const auto before = node.index->counters();
    std::promise<void> gate, begun;
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        CHECK(node.index->write([&](Connection&) -> Status {
            begun.set_value();
            gate.get_future().wait();
            return {};
        }));
    });
    begun.get_future().wait();
    for (int i = 0; i < 16; ++i)
        threads.emplace_back([&, i] {
            const Status done = node.index->write([i](Connection& db) -> Status {
                QuarantineRow row;
                row.path = std::to_string(i);
                SCOPENODE_TRY(add_quarantine(db, row));
                if (i == 7) return fail(Code::kInvalidArgument, "seven");
                return {};
            });
            failed += done ? 0 : 1;
        });
    while (node.index->counters().waiting < 16) std::this_thread::yield();
    gate.set_value();
    for (auto& thread : threads) thread.join();
    CHECK(failed == 1);
    CHECK(node.count("SELECT count(*) FROM quarantine") == 15);
    CHECK(node.count("SELECT count(*) FROM quarantine WHERE path = '7'") == 0);
    // The first body was alone in its commit; the sixteen behind it waited for it together.
    CHECK(node.index->counters().commits - before.commits == 2);
    CHECK(node.index->counters().bodies - before.bodies == 17);
}

TEST_CASE("eight threads claim forty jobs and none twice") {
    Node node;
    REQUIRE(node.store(Ct{}));
    REQUIRE(node.index->write([](Connection& db) -> Status {
        for (int revision = 1; revision <= 40; ++revision)
            SCOPENODE_TRY(add_job(db, {"study", 1, revision, 0, ""}, 5));
        return {};
    }));
    std::mutex mutex;
    std::multiset<std::int64_t> claimed;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            for (bool more = true; more;) {
                more = false;
                (void)node.index->write([&](Connection& db) -> Status {
                    SCOPENODE_ASSIGN(const auto job, claim_job(db, 10, 1000, "me"));
                    if (!job) return {};
                    more = true;
                    std::lock_guard lock(mutex);
                    claimed.insert(job->id);
                    return {};
                });
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(claimed.size() == 40);
    CHECK(std::set<std::int64_t>(claimed.begin(), claimed.end()).size() == 40);
}

TEST_CASE("a job is tried again later and survives the process that ran it") {
    Node node;
    REQUIRE(node.store(Ct{}));
    REQUIRE(node.index->write([](Connection& db) -> Status {
        const NewJob first{"study", 1, 1, 0, ""};
        SCOPENODE_ASSIGN(const auto id, add_job(db, first, 100));
        CHECK(*add_job(db, first, 100) == id);
        const auto claim = [&](UtcMs now) { return claim_job(db, now, 10'000, "me").value(); };
        CHECK_FALSE(claim(99).has_value());
        auto job = claim(100);
        CHECK(job->attempts == 1);
        SCOPENODE_TRY(fail_job(db, *job, "disk", 500, 110));
        CHECK_FALSE(claim(499).has_value());
        CHECK(claim(500)->last_error == "disk");
        CHECK(*requeue_running_jobs(db) == 1);
        job = claim(500);
        CHECK(job->attempts == 3);
        SCOPENODE_TRY(fail_job(db, *job, "for good", std::nullopt, 600));
        CHECK((*find_job(db, id))->state == "failed");
        SCOPENODE_TRY(retry_job(db, id, 700));
        CHECK(retry_job(db, id, 700).error().code == Code::kConflict);
        CHECK(retry_job(db, 999, 700).error().code == Code::kNotFound);
        return {};
    }));
}

TEST_CASE("a job belongs to its claim until the lease ends or a person cancels it") {
    Node node;
    REQUIRE(node.store(Ct{}));
    REQUIRE(node.index->write([](Connection& db) -> Status {
        SCOPENODE_ASSIGN(const auto id, add_job(db, {"study", 1, 1, 0, ""}, 100));
        const auto stuck = claim_job(db, 100, 1000, "stuck").value();
        CHECK_FALSE(claim_job(db, 1099, 1000, "other").value().has_value());
        CHECK(**next_job_due(db) == 1100);
        SCOPENODE_TRY(renew_lease(db, *stuck, 2000));
        CHECK_FALSE(claim_job(db, 1999, 1000, "other").value().has_value());
        const auto other = claim_job(db, 2000, 1000, "other").value();
        REQUIRE(other);
        CHECK(other->attempts == 2);
        CHECK(renew_lease(db, *stuck, 9000).error().code == Code::kCancelled);
        CHECK(finish_job(db, *stuck, 2001).error().code == Code::kCancelled);
        CHECK(fail_job(db, *stuck, "late", 2001, 2001).error().code == Code::kCancelled);
        SCOPENODE_TRY(cancel_job(db, id, 2100));
        CHECK(finish_job(db, *other, 2200).error().message.find("cancelled") != std::string::npos);
        CHECK(cancel_job(db, id, 2300).error().code == Code::kConflict);
        CHECK((*find_job(db, id))->state == "cancelled");
        return {};
    }));
}

TEST_CASE("STAT goes before forty routine jobs but not before one that has waited long") {
    Node node;
    REQUIRE(node.store(Ct{}));
    REQUIRE(node.index->write([](Connection& db) -> Status {
        constexpr UtcMs kStart = 1'000'000'000;
        SCOPENODE_ASSIGN(const auto old,
                         add_job(db, {"study", 1, 1, 0, ""}, kStart - 2 * kPriorityStepMs - 1));
        for (int revision = 2; revision <= 41; ++revision)
            SCOPENODE_TRY(add_job(db, {"study", 1, revision, 0, ""}, kStart));
        SCOPENODE_ASSIGN(const auto stat, add_job(db, {"study", 1, 42, 2, ""}, kStart + 5));
        SCOPENODE_ASSIGN(const auto high, add_job(db, {"study", 1, 43, 1, ""}, kStart + 6));
        const auto next = [&] { return claim_job(db, kStart + 10, 1000, "me").value()->id; };
        CHECK(next() == old);
        CHECK(next() == stat);
        CHECK(next() == high);
        SCOPENODE_TRY(set_job_priority(db, 1, 0));
        CHECK((*claim_job(db, kStart + 10, 1000, "me"))->revision == 2);
        std::map<std::string, std::int64_t> counts;
        const auto counted = count_jobs(db);
        for (const auto& [state, count] : *counted) counts[state] = count;
        CHECK(counts == std::map<std::string, std::int64_t>{{"queued", 39}, {"running", 4}});
        return {};
    }));
}

TEST_CASE("a result supersedes the one before and its waiting deliveries") {
    Node node;
    REQUIRE(node.store(Ct{}));
    REQUIRE(node.index->write([](Connection& db) -> Status {
        ResultRow first;
        first.study_id = 1;
        first.revision = 1;
        first.kind = "sr";
        first.sop_instance_uid = "2.25.71";
        SCOPENODE_ASSIGN(const auto one, add_result(db, first, std::string("a\0b", 3)));
        CHECK(add_result(db, first, "again").error().code == Code::kConflict);
        SCOPENODE_TRY(add_delivery(db, one, "pacs", 10));
        ResultRow second = first;
        second.revision = 2;
        second.sop_instance_uid = "2.25.72";
        ResultRow picture = first;
        picture.kind = "sc-1";
        picture.sop_instance_uid = "2.25.73";
        SCOPENODE_ASSIGN(const auto beside, add_result(db, picture, "p"));
        SCOPENODE_TRY(add_delivery(db, beside, "pacs", 10, 1));
        SCOPENODE_TRY(supersede_results(db, 1, 2));
        CHECK_FALSE(current_result(db, 1, "sr")->has_value());
        CHECK_FALSE(current_result(db, 1, "sc-1")->has_value());  // the next revision may have none
        SCOPENODE_ASSIGN(const auto two, add_result(db, second, "c"));
        SCOPENODE_TRY(set_result_summary(db, two, "{\"a\":1}"));
        CHECK((*current_result(db, 1, "sr"))->summary == "{\"a\":1}");
        SCOPENODE_TRY(add_delivery(db, two, "pacs", 10));
        CHECK((*current_result(db, 1, "sr"))->revision == 2);
        CHECK(**result_bytes(db, "2.25.71") == std::string("a\0b", 3));
        const auto due = *next_delivery(db, "pacs", 10);
        REQUIRE(due);
        CHECK(due->sop_instance_uid == "2.25.72");
        CHECK_FALSE(*next_delivery(db, "other", 10));
        SCOPENODE_TRY(delivery_failed(db, due->id, "down", 90));
        CHECK_FALSE(*next_delivery(db, "pacs", 89));
        SCOPENODE_TRY(delivery_sent(db, due->id, 95));
        CHECK_FALSE(*next_delivery(db, "pacs", 99));
        CHECK(retry_delivery(db, due->id, 96).error().code == Code::kConflict);
        return {};
    }));
}

TEST_CASE("a large result comes back byte by byte and is kept small") {
    Node node;
    REQUIRE(node.store(Ct{}));
    std::string picture(3 << 20, '\0');
    for (std::size_t i = 0; i < picture.size() / 4; ++i) picture[i] = static_cast<char>(i * i >> 7);
    ResultRow row;
    row.study_id = 1;
    row.revision = 1;
    row.kind = "sc-1";
    row.sop_instance_uid = "2.25.74";
    REQUIRE(node.index->write([&](Connection& db) -> Status {
        SCOPENODE_TRY(add_result(db, row, picture));
        CHECK(**result_bytes(db, "2.25.74") == picture);
        CHECK_FALSE(result_bytes(db, "2.25.75")->has_value());
        return {};
    }));
    SQLite::Database raw((node.folder.path() / "index.sqlite").string(), SQLite::OPEN_READWRITE, 5000);
    CHECK(raw.execAndGet("SELECT length(bytes) FROM results").getInt() < (3 << 19));
    raw.exec("UPDATE results SET plain_size = plain_size - 1");
    const auto damaged = node.index->read([](Connection& db) { return result_bytes(db, "2.25.74"); });
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == Code::kDatabase);
}

TEST_CASE("scores of a slice come back to the bit") {
    Node node;
    REQUIRE(node.store(Ct{}));
    const SliceScoreRow row{1, {0.1, 1.0 / 3, 1e-300, 0, 1, 0.12345678901234567}, ""};
    REQUIRE(node.index->write([&](Connection& db) { return put_slice_scores(db, "m", {row}); }));
    const auto back = node.index->read([](Connection& db) { return slice_scores_of(db, 1, "m"); });
    REQUIRE(back->size() == 1);
    CHECK(back->front().scores == row.scores);
}

TEST_CASE("the audit takes no change and a change behind its back is found") {
    Node node;
    REQUIRE(node.index->write([](Connection& db) -> Status {
        for (int i = 0; i < 5; ++i)
            SCOPENODE_TRY(add_audit(db, i, "me", "did", "it", std::to_string(i)));
        return {};
    }));
    const auto broken = [&] {
        return *node.index->read([](Connection& db) { return broken_audit_row(db); });
    };
    CHECK_FALSE(broken());
    SQLite::Database raw((node.folder.path() / "index.sqlite").string(), SQLite::OPEN_READWRITE, 5000);
    CHECK_THROWS_AS(raw.exec("UPDATE audit SET detail = 'x' WHERE id = 3"), SQLite::Exception);
    CHECK_THROWS_AS(raw.exec("DELETE FROM audit WHERE id = 5"), SQLite::Exception);
    CHECK_FALSE(broken());
    raw.exec("DROP TRIGGER audit_keeps");
    raw.exec("UPDATE audit SET detail = 'x' WHERE id = 3");
    CHECK(broken() == 3);
}

TEST_CASE("a backup taken in use holds what was committed") {
    Node node;
    REQUIRE(node.store(Ct{}));
    const auto to = node.folder.path() / "copy.sqlite";
    REQUIRE(node.index->backup(to));
    CHECK(node.index->backup(to).error().code == Code::kConflict);
    const auto copy = Index::open(to, node.clock, true);
    REQUIRE(copy);
    CHECK((*copy)->read([](Connection& db) { return totals(db); })->instances == 1);
}

}  // namespace
}  // namespace scopenode::storage
