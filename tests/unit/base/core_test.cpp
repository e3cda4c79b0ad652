#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/core/bounded_queue.h"
#include "base/core/clock.h"
#include "base/crash_mark.h"
#include "base/core/files.h"
#include "base/core/ids.h"
#include "base/core/sha256_portable.h"
#include "base/core/result.h"
#include "base/worker.h"

using namespace scopenode;

namespace {

Result<int> half(int number) {
    if (number % 2 != 0) return fail(Code::kInvalidArgument, "{} is odd", number);
    return number / 2;
}

Result<int> quarter(int number) {
    SCOPENODE_ASSIGN(const int once, half(number));
    SCOPENODE_ASSIGN(const int twice, half(once));
    return twice;
}

Status only_even(int number) {
    SCOPENODE_TRY(half(number));
    return {};
}

}  // namespace

TEST_CASE("errors pass through functions with their code and sentence") {
    CHECK(quarter(12).value() == 3);
    CHECK(quarter(6).error().message == "3 is odd");
    CHECK(quarter(6).error().code == Code::kInvalidArgument);
    CHECK(only_even(2));
    CHECK(only_even(3).error().message == "3 is odd");
}

TEST_CASE("exceptions become errors at a seam") {
    const auto thrown = guard(Code::kDatabase, []() -> int { throw std::runtime_error("gone"); });
    REQUIRE_FALSE(thrown);
    CHECK(thrown.error().code == Code::kDatabase);
    CHECK(thrown.error().message == "gone");
    CHECK(guard(Code::kDatabase, [] { return 3; }).value() == 3);
    CHECK(guard(Code::kDatabase, [] { return half(4); }).value() == 2);
    CHECK(guard(Code::kDatabase, [] { return half(5); }).error().code == Code::kInvalidArgument);
    CHECK(guard(Code::kIo, [] {}));
    CHECK_FALSE(guard(Code::kIo, [] { throw 7; }));
}

TEST_CASE("the table of codes has the statuses that DICOM and HTTP want") {
    CHECK(info(Code::kOutOfResources).dimse_status == 0xA700);
    CHECK(info(Code::kDoesNotMatchSopClass).dimse_status == 0xA900);
    CHECK(info(Code::kCannotUnderstand).dimse_status == 0xC000);
    CHECK(info(Code::kNotFound).http_status == 404);
    CHECK(info(Code::kPeerUnavailable).retryable);
    CHECK_FALSE(info(Code::kPeerRefused).retryable);
    CHECK(info(Code::kInternal).code == Code::kInternal);
}

TEST_CASE("sha256 of known texts in one piece and in many") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 pieces;
    for (const char c : std::string("abc")) pieces.update(std::string_view(&c, 1));
    CHECK(pieces.hex() == sha256_hex("abc"));
}

TEST_CASE("UIDs are legal and unique - and a text has always the same") {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const std::string uid = random_uid();
        CHECK(is_legal_uid(uid));
        CHECK(uid.starts_with("2.25."));
        CHECK(seen.insert(uid).second);
    }
    CHECK(uid_from_text("a study") == uid_from_text("a study"));
    CHECK(uid_from_text("a study") != uid_from_text("another study"));
    // 128 bits of ba7816bf8f01cfea414140de5dae2223
    CHECK(uid_from_text("abc") == "2.25.247859944228867399418143717509236138531");
    for (const char* legal : {"1", "0", "1.2.840.10008.1.1", "2.25.0", "1.0.1"})
        CHECK_MESSAGE(is_legal_uid(legal), legal);
    const std::string longest = "1." + std::string(62, '2');
    CHECK(is_legal_uid(longest));
    CHECK_FALSE(is_legal_uid(longest + "2"));
    for (const char* wrong :
         {"", ".", "1.", ".1", "1..2", "1.02", "00", "1.a", "1.2 ", " 1.2", "1,2", "1.-2"})
        CHECK_MESSAGE(!is_legal_uid(wrong), wrong);
}

TEST_CASE("times as text") {
    CHECK(iso8601(0) == "1970-01-01T00:00:00.000Z");
    CHECK(iso8601(1764057600123) == "2025-11-25T08:00:00.123Z");
    const DicomTime utc = dicom_time(1764057600123, "UTC");
    CHECK(utc.date == "20251125");
    CHECK(utc.time == "080000.123000");
    CHECK(utc.offset == "+0000");
    CHECK(SystemClock().now() > 1764057600000);
}

TEST_CASE("a written file is whole and nothing is left beside it") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "a file";
    REQUIRE(write_file(real_files(), file, "first"));
    REQUIRE(write_file(real_files(), file, std::string(100000, 'x')));
    CHECK(read_file(file).value() == std::string(100000, 'x'));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
    CHECK(read_file(folder.path() / "none").error().code == Code::kNotFound);
    CHECK(read_file(folder.path()).error().code == Code::kInvalidArgument);
    CHECK_FALSE(write_file(real_files(), folder.path() / "no folder" / "x", "y"));
    CHECK_FALSE(real_files().create(file));
    CHECK(real_files().remove(folder.path() / "none"));
    CHECK(real_files().free_bytes(folder.path()).value() > 0);
}

TEST_CASE("a temporary folder goes with everything in it") {
    std::filesystem::path path;
    {
        const TemporaryFolder folder;
        path = folder.path();
        REQUIRE(write_file(real_files(), path / "x", "y"));
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a queue with a limit loses nothing between threads") {
    BoundedQueue<int> queue(3);
    constexpr int kEach = 500;
    std::atomic<long> sum{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] {
            for (int i = 1; i <= kEach; ++i) queue.push(i);
        });
    std::vector<std::thread> takers;
    for (int t = 0; t < 2; ++t)
        takers.emplace_back([&] {
            while (const auto item = queue.pop()) sum += *item;
        });
    for (auto& t : threads) t.join();
    queue.close();
    for (auto& t : takers) t.join();
    CHECK(sum == 2L * kEach * (kEach + 1) / 2);
}

TEST_CASE("a full queue refuses and a closed one is drained") {
    BoundedQueue<int> queue(2);
    CHECK(queue.try_push(1));
    CHECK(queue.try_push(2));
    CHECK_FALSE(queue.try_push(3));
    CHECK(queue.size() == 2);
    queue.close();
    CHECK_FALSE(queue.push(4));
    CHECK(queue.pop().value() == 1);
    CHECK(queue.pop_for(std::chrono::milliseconds(1)).value() == 2);
    CHECK_FALSE(queue.pop());
    CHECK_FALSE(queue.pop_for(std::chrono::milliseconds(1)));
}

TEST_CASE("a worker goes on while there is work - when it is woken - and after an exception") {
    BoundedQueue<int> turns(100);
    std::atomic<int> left{3};
    Worker worker("test", std::chrono::hours(1), [&] {
        turns.push(1);
        const int now = left--;
        if (now == 2) throw std::runtime_error("a turn that fails, on purpose");
        return now > 0;
    });
    // Two turns, then one that throws makes it wait until woken.
    for (int i = 0; i < 2; ++i) REQUIRE(turns.pop());
    worker.wake();
    for (int i = 0; i < 2; ++i) REQUIRE(turns.pop());
    worker.stop();
    CHECK(left <= 0);
    worker.wake();
    worker.stop();
}

TEST_CASE("SHA-256 without a library is that of the library at every length around a block") {
    std::string bytes;
    for (int length = 0; length < 300; ++length) {
        Sha256Portable whole, pieces;
        whole.update(bytes);
        for (std::size_t at = 0; at < bytes.size(); at += 7) pieces.update(std::string_view(bytes).substr(at, 7));
        const auto digest = whole.digest();
        std::string hex;
        for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
        CHECK(hex == sha256_hex(bytes));
        CHECK(digest == pieces.digest());
        bytes += static_cast<char>(length * 37 + 11);
    }
}

TEST_CASE("the kernel's count of kills for want of memory is read where there is one") {
    const TemporaryFolder folder;
    const auto events = folder.path() / "memory.events";
    CHECK(memory_kills(events) == 0);
    REQUIRE(write_file(real_files(), events, "low 0\nhigh 7\nmax 18446744073709551615\noom 9\noom_kill 5\n"));
    CHECK(memory_kills(events) == 5);
    REQUIRE(write_file(real_files(), events, "oom 9\n"));
    CHECK(memory_kills(events) == 0);
}
