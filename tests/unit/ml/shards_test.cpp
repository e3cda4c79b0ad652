#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/core/ids.h"
#include "ml/shards.h"
#include "tests/unit/ml/trainer_discs.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;
using namespace scopenode::test;
namespace fs = std::filesystem;

namespace {

constexpr int kPerShard = 20;  // 96 discs: four whole shards and a rest

ShardOptions shards_in(const fs::path& out, int side = 64) {
    return {out, side, kPerShard};
}

/// Every file of a folder with its digest.
std::map<std::string, std::string> digests_of(const fs::path& folder) {
    std::map<std::string, std::string> digests;
    for (const auto& entry : fs::directory_iterator(folder))
        digests[entry.path().filename()] = sha256_hex(read_file(entry.path()).value());
    return digests;
}

/// A disk that is full after some bytes.
class SmallDisk final : public FileSystem {
  public:
    explicit SmallDisk(std::size_t bytes) : left_(bytes) {}
    Result<std::unique_ptr<OutputFile>> create(const fs::path& path) override {
        SCOPENODE_ASSIGN(auto file, real_files().create(path));
        return std::make_unique<File>(std::move(file), left_);
    }
    Status rename(const fs::path& from, const fs::path& to) override { return real_files().rename(from, to); }
    Status sync_folder(const fs::path& folder) override { return real_files().sync_folder(folder); }
    Status remove(const fs::path& path) override { return real_files().remove(path); }
    Result<std::uint64_t> free_bytes(const fs::path&) override { return left_; }

  private:
    class File final : public OutputFile {
      public:
        File(std::unique_ptr<OutputFile> file, std::size_t& left) : file_(std::move(file)), left_(left) {}
        Status write(std::string_view bytes) override {
            if (bytes.size() > left_)
                return fail(Code::kOutOfResources, "cannot write: No space left on device");
            left_ -= bytes.size();
            return file_->write(bytes);
        }
        Status sync() override { return file_->sync(); }

      private:
        std::unique_ptr<OutputFile> file_;
        std::size_t& left_;
    };
    std::size_t left_;
};

}  // namespace

TEST_CASE("training from shards gives the very weights that training from the set itself gives") {
    const TemporaryFolder folder;
    const fs::path shards = folder.path() / "shards";
    const Discs discs;
    REQUIRE(write_shards(discs, shards_in(shards), real_files()));
    const auto set = ShardSet::open(shards);
    REQUIRE(set);
    CHECK((*set)->size() == 96);
    CHECK((*set)->description() == discs.description());
    CHECK(digests_of(shards).size() == 6);
    const auto slice = (*set)->load(41);
    REQUIRE(slice);
    CHECK(slice->patient == "patient 20");
    CHECK(slice->z_mm == 5);
    CHECK(slice->labels == discs.load(41)->labels);
    CHECK(slice->image.hu[32 * 64 + 32] == 30);

    REQUIRE(train(options_for(folder.path() / "a", 2), discs, nullptr));
    REQUIRE(train(options_for(folder.path() / "b", 2), **set, nullptr));
    CHECK(weights_of(folder.path() / "a") == weights_of(folder.path() / "b"));

    // Of another size they are only a source like any other.
    const fs::path large = folder.path() / "large";
    REQUIRE(write_shards(discs, shards_in(large, 80), real_files()));
    REQUIRE(train(options_for(folder.path() / "c", 2), *ShardSet::open(large).value(), nullptr));
    CHECK(weights_of(folder.path() / "c") == weights_of(folder.path() / "a"));
}

TEST_CASE("a conversion that a full disk ends goes on later and ends with the same bytes") {
    const TemporaryFolder folder;
    const fs::path whole = folder.path() / "whole", broken = folder.path() / "broken";
    REQUIRE(write_shards(Discs(), shards_in(whole), real_files()));
    int reads = 0;
    const Discs counted([&reads](std::size_t, LabelledSlice&) -> Status {
        ++reads;
        return {};
    });
    // Room for two shards and a part of the third.
    SmallDisk disk(std::size_t(2.5 * kPerShard * 64 * 64 * 2) + 10000);
    const Status full = write_shards(counted, shards_in(broken), disk);
    REQUIRE_FALSE(full);
    CHECK(full.error().message.find("No space left") != std::string::npos);
    const auto refused = ShardSet::open(broken);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("has not ended: run it again") != std::string::npos);
    reads = 0;
    REQUIRE(write_shards(counted, shards_in(broken), real_files()));
    CHECK(reads == 96 - 2 * kPerShard);
    CHECK(digests_of(broken) == digests_of(whole));

    const Status other = write_shards(Discs(nullptr, "other discs"), shards_in(broken), real_files());
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Code::kConflict);
    CHECK_FALSE(write_shards(Discs(), shards_in(broken, 32), real_files()));
    CHECK_FALSE(write_shards(Discs(), shards_in(broken, 8), real_files()));
    CHECK(digests_of(broken) == digests_of(whole));
}

TEST_CASE("a damaged shard or list is refused by name and made again alone") {
    const TemporaryFolder folder;
    const fs::path shards = folder.path() / "shards";
    REQUIRE(write_shards(Discs(), shards_in(shards), real_files()));
    const auto whole = digests_of(shards);
    const fs::path third = shards / "shard-00002.bin";
    const std::string bytes = read_file(third).value();
    const auto refusal = [&] {
        const auto set = ShardSet::open(shards);
        REQUIRE_FALSE(set);
        CHECK(set.error().code == Code::kDamagedModel);
        return set.error().message;
    };
    const auto with = [&](std::string changed) {
        fs::remove(third);
        REQUIRE(write_file(real_files(), third, changed));
        const std::string message = refusal();
        CHECK(message.find("shard-00002.bin") != std::string::npos);
        return message;
    };
    std::string flipped = bytes;
    flipped[bytes.size() / 2] ^= 1;
    CHECK(with(flipped).find("sha256") != std::string::npos);
    with(bytes.substr(0, bytes.size() - 100));
    with(bytes.substr(0, 10));
    with("");
    // Of another kind, although it is what shards.json lists.
    const fs::path list = shards / "shards.json";
    const std::string text = read_file(list).value();
    const auto listed = [&](std::string changed) {
        std::string other = text;
        other.replace(other.find(sha256_hex(bytes)), 64, sha256_hex(changed));
        fs::remove(list);
        REQUIRE(write_file(real_files(), list, other));
        const std::string message = with(std::move(changed));
        fs::remove(list);
        REQUIRE(write_file(real_files(), list, text));
        return message;
    };
    const auto changed_at = [&](std::size_t place, char value) {
        std::string other = bytes;
        other.at(place) = value;
        return other;
    };
    CHECK(listed(changed_at(7, '2')).find("no shard of this version") != std::string::npos);
    CHECK(listed(changed_at(8, 63)).find("slices of another size") != std::string::npos);
    CHECK(listed(changed_at(bytes.size() - 1, 127)).find("a label for each slice") != std::string::npos);
    CHECK(listed(changed_at(bytes.size() - 9, '}')).find("a label for each slice") != std::string::npos);
    CHECK(listed(bytes.substr(0, 16) + bytes.substr(16 + 2)).find("a label for each slice") !=
          std::string::npos);
    CHECK(listed("").find("too short") != std::string::npos);
    fs::remove(third);
    CHECK(refusal().find("shard-00002.bin is missing") != std::string::npos);
    REQUIRE(write_shards(Discs(), shards_in(shards), real_files()));
    CHECK(digests_of(shards) == whole);

    const auto with_list = [&](const std::string& from, const std::string& to) {
        std::string changed = text;
        changed.replace(changed.find(from), from.size(), to);
        REQUIRE(write_file(real_files(), list, changed));
        CHECK(refusal().find("shards.json") != std::string::npos);
        CHECK_FALSE(write_shards(Discs(), shards_in(shards), real_files()));
    };
    with_list("\"format\": 1", "\"format\": 2");
    with_list("\"shard-00001.bin\"", "\"../shard-00001.bin\"");
    with_list("\"shard-00001.bin\"", "\"..\"");
    with_list("\"side\": 64", "\"side\": -1");
    with_list("{", "[");
    CHECK(ShardSet::open(folder.path()).error().code == Code::kNotFound);
}

TEST_CASE("what cannot be read is left out of the shards and listed and too much of it ends them") {
    const TemporaryFolder folder;
    const auto faulty = [](std::size_t every) {
        return Discs([every](std::size_t index, LabelledSlice&) -> Status {
            if (index % every == 5) return fail(Code::kUnsupported, "slice {} is torn", index);
            return {};
        });
    };
    const fs::path shards = folder.path() / "shards";
    REQUIRE(write_shards(faulty(32), shards_in(shards), real_files()));
    const auto set = ShardSet::open(shards);
    REQUIRE(set);
    CHECK((*set)->size() == 93);
    CHECK((*set)->skipped() ==
          std::vector<std::string>{"slice 5 is torn", "slice 37 is torn", "slice 69 is torn"});
    CHECK((*set)->load(5)->patient == "patient 3");

    // A shard that is made again does not count its faults twice.
    REQUIRE(write_shards(faulty(11), shards_in(folder.path() / "near"), real_files()));  // 9 of 96
    fs::remove(folder.path() / "near" / "shard-00001.bin");
    REQUIRE(write_shards(faulty(11), shards_in(folder.path() / "near"), real_files()));
    CHECK(ShardSet::open(folder.path() / "near").value()->skipped().size() == 9);

    const Status much = write_shards(faulty(6), shards_in(folder.path() / "much"), real_files());
    REQUIRE_FALSE(much);
    CHECK(much.error().code == Code::kUnsupported);
    CHECK(much.error().message.find("more than a tenth of 96 slices cannot be read") != std::string::npos);
}

TEST_CASE("a share that is away for a while leaves no holes in the shards") {
    const TemporaryFolder folder;
    const fs::path whole = folder.path() / "whole", broken = folder.path() / "broken";
    REQUIRE(write_shards(Discs(), shards_in(whole), real_files()));
    bool away = true;
    const Discs discs([&away](std::size_t index, LabelledSlice&) -> Status {
        if (away && index >= 50) return fail(Code::kIo, "cannot read slice {}", index);
        return {};
    });
    const Status ended = write_shards(discs, shards_in(broken), real_files());
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == Code::kIo);
    away = false;
    REQUIRE(write_shards(discs, shards_in(broken), real_files()));
    CHECK(digests_of(broken) == digests_of(whole));
}
