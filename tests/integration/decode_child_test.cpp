#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <sstream>
#include <thread>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "storage/dicom/pixel_reader.h"
#include "tests/support/ct_files.h"
#include "tests/support/data.h"
#include "tests/support/node.h"
#include "tests/support/programs.h"

using namespace scopenode;
using storage::PixelReader;
namespace fs = std::filesystem;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kAllocatorThrows = false;  // the sanitizer's ends the process at its limit
#else
constexpr bool kAllocatorThrows = true;
#endif

using Words = std::vector<std::string>;

Words child(const Words& more = {}) {
    Words all{SCOPENODE_PROGRAM, "decode-slices"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}
Words shell(const std::string& script) {
    return {"/bin/sh", "-c", script};
}

/// A head of the phantom, as the file that dcmtk's `packer` makes of it.
struct Packed {
    TemporaryFolder folder;
    fs::path native, packed;

    explicit Packed(const Words& packer, int size = 512) {
        REQUIRE(test::run({SCOPENODE_PROGRAM, "phantom", (folder.path() / "ph").string(), "--studies", "1",
                           "--slices", "8", "--size", std::to_string(size), "--scanner", "ge_like"})
                    .rc == 0);
        for (const auto& entry : fs::recursive_directory_iterator(folder.path() / "ph"))
            if (entry.path().filename() == "0005.dcm") native = entry.path();
        REQUIRE_FALSE(native.empty());
        packed = folder.path() / "packed.dcm";
        Words words = packer;
        words.insert(words.end(), {native.string(), packed.string()});
        const auto done = test::run(words);
        REQUIRE_MESSAGE(done.rc == 0, done.output);
    }
};

const Words kRle{"dcmcrle"}, kJpeg{"dcmcjpeg", "+e1"}, kJpegLs{"dcmcjpls", "+el"};

void spoil(const fs::path& file, std::size_t from_end, const std::string& bytes) {
    auto all = *read_file(file);
    all.replace(all.size() - from_end, bytes.size(), bytes);
    fs::remove(file);
    test::write_bytes(file, all);
}

/// An image of rows x columns whose only fragment is `stream`.
std::string encapsulated(const fs::path& like, unsigned rows, unsigned columns, std::string stream) {
    auto all = *read_file(like);
    const auto put = [&](const char* tag, unsigned value) {
        const std::size_t at = all.find(std::string(tag, 4) + "US");
        REQUIRE(at != std::string::npos);
        all[at + 8] = static_cast<char>(value);
        all[at + 9] = static_cast<char>(value >> 8);
    };
    put("\x28\0\x10\0", rows);
    put("\x28\0\x11\0", columns);
    const std::size_t pixels = all.find(std::string("\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF", 12));
    REQUIRE(pixels != std::string::npos);
    all.resize(pixels + 12);
    if (stream.size() % 2 != 0) stream += '\0';
    all += std::string("\xFE\xFF\0\xE0\0\0\0\0", 8) + std::string("\xFE\xFF\0\xE0", 4);
    for (int shift = 0; shift < 32; shift += 8) all += static_cast<char>(stream.size() >> shift);
    return all + stream + std::string("\xFE\xFF\xDD\xE0\0\0\0\0", 8);
}

}  // namespace

TEST_CASE("Decoding in a process of its own gives the pixels of the uncompressed file") {
    for (const Words& packer : {kRle, kJpeg, kJpegLs}) {
        const Packed files(packer);
        const auto expected = storage::read_hu(files.native);
        REQUIRE(expected);
        PixelReader reader(child());
        for (int i = 0; i < 3; ++i) {
            const auto image = reader.read(files.packed);
            REQUIRE_MESSAGE(image, image.error().message);
            CHECK(image->width == expected->width);
            CHECK(image->hu == expected->hu);
        }
        CHECK(reader.starts() == 1);
        REQUIRE(reader.read(files.native));
    }
}

TEST_CASE("Uncompressed pixels need no decoding process") {
    const Packed files(kRle);
    PixelReader reader(shell("exit 1"));
    CHECK(reader.read(files.native));
    CHECK(reader.starts() == 0);
    const auto packed = reader.read(files.packed);
    REQUIRE_FALSE(packed);
    CHECK(packed.error().code == Code::kOutOfResources);
    CHECK(packed.error().message.find("does not start") != std::string::npos);
    PixelReader nowhere({"no-such-program-anywhere"});
    CHECK(nowhere.read(files.packed).error().code == Code::kNotFound);
}

TEST_CASE("A decoding process that is killed at any moment costs no slice") {
    const Packed files(kJpeg);
    const auto expected = storage::read_hu(files.native);
    PixelReader reader(child());
    REQUIRE(reader.read(files.packed));
    const pid_t idle = reader.child_pid();
    ::kill(idle, SIGKILL);
    REQUIRE(test::eventually([&] {
        const auto stat = read_file("/proc/" + std::to_string(idle) + "/stat");
        return !stat || stat->find(") Z ") != std::string::npos;
    }));
    const auto next = reader.read(files.packed);
    REQUIRE_MESSAGE(next, next.error().message);
    CHECK(next->hu == expected->hu);
    CHECK(reader.starts() == 2);

    // Ended while it decodes: stopped first, so that the request is surely with it.
    const pid_t busy = reader.child_pid();
    ::kill(busy, SIGSTOP);
    std::atomic<bool> done{false};
    Result<HuImage> image;
    std::thread asks([&] {
        image = reader.read(files.packed);
        done = true;
    });
    const auto waiting = [&] {
        const auto pipe = read_file("/proc/" + std::to_string(busy) + "/stat");
        return pipe && pipe->find(") T ") != std::string::npos;
    };
    CHECK(test::eventually(waiting));
    CHECK_FALSE(done);
    ::kill(busy, SIGKILL);
    asks.join();
    REQUIRE_MESSAGE(image, image.error().message);
    CHECK(image->hu == expected->hu);
    CHECK(reader.starts() == 3);
}

TEST_CASE("A slice that crashes its decoder is an error and the next one is read") {
    const Packed files(kRle);
    // Says hello and dies at the first request, as often as it is started.
    PixelReader crashing(shell("echo 'decoder 1'; head -c 12 > /dev/null; kill -SEGV $$"));
    const auto image = crashing.read(files.packed);
    REQUIRE_FALSE(image);
    CHECK(image.error().code == Code::kCannotUnderstand);
    CHECK_FALSE(image.error().retryable());
    CHECK(image.error().message.find("crashed (signal 11)") != std::string::npos);
    CHECK(image.error().message.find("packed.dcm") != std::string::npos);
    CHECK(crashing.starts() == 2);
    CHECK(crashing.child_pid() == -1);
    CHECK(crashing.read(files.native));

    PixelReader leaving(shell("echo 'decoder 1'; exit 3"));
    CHECK(leaving.read(files.packed).error().message.find("exit status 3") != std::string::npos);
    PixelReader babbling(shell("echo 'decoder 1'; cat /dev/zero"));
    CHECK(babbling.read(files.packed).error().message.find("upset") != std::string::npos);
    CHECK(babbling.child_pid() == -1);
    PixelReader hanging(shell("echo 'decoder 1'; exec tail -f /dev/null"), std::chrono::seconds(1));
    CHECK(hanging.read(files.packed).error().message.find("longer than 1 s") != std::string::npos);
    CHECK(hanging.child_pid() == -1);
    PixelReader burning(shell("ulimit -S -t 1; echo 'decoder 1'; while :; do :; done"));
    CHECK(burning.read(files.packed).error().message.find("more processor time") != std::string::npos);
}

TEST_CASE("Images that ask for too much meet the limits of the decoding process") {
    const Packed files(kRle, 128);
    // One segment pair that promises size x size words: runs of 128 zeros.
    const auto bomb_of = [&](unsigned size) {
        std::string stream(64, '\0'), runs;
        stream[0] = 2;
        stream[4] = 64;
        for (unsigned i = 0; i < size * size / 128; ++i) runs += std::string("\x81\0", 2);
        const std::size_t second = 64 + runs.size();
        for (std::size_t i = 0; i < 4; ++i) stream[8 + i] = static_cast<char>(second >> (8 * i));
        const auto file = files.folder.path() / ("bomb-" + std::to_string(size));
        test::write_bytes(file, encapsulated(files.packed, size, size, stream + runs + runs));
        return file;
    };
    const auto large = bomb_of(3072), largest = bomb_of(8000);
    PixelReader usual(child());
    const auto read = usual.read(large);
    REQUIRE_MESSAGE(read, read.error().message);
    CHECK(read->width == 3072);
    PixelReader narrow(child({"--memory-mib", "30"}));
    const auto refused = narrow.read(large);
    REQUIRE_FALSE(refused);
    CHECK_FALSE(refused.error().retryable());
    CHECK(narrow.read(files.packed));
    if (kAllocatorThrows) {
        CHECK(refused.error().message.find("more memory") != std::string::npos);
        CHECK(narrow.starts() == 1);
    }
    // The limit is the next whole second of the process: a fast machine reads it a few times before it gets
    // there.
    PixelReader hasty(child({"--cpu-seconds", "0"}));
    auto stopped = hasty.read(largest);
    for (int again = 0; stopped && again < 50; ++again) stopped = hasty.read(largest);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().message.find("more processor time") != std::string::npos);
    CHECK(hasty.child_pid() == -1);
}

TEST_CASE("Hostile streams are errors or images and never the end of the reader") {
    PixelReader reader(child({"--cpu-seconds", "5"}), std::chrono::seconds(30));
    int images = 0, errors = 0;
    for (const Words& packer : {kRle, kJpeg, kJpegLs}) {
        const Packed files(packer, 128);
        const auto size = fs::file_size(files.packed);
        for (std::size_t place = 20; place < std::min<std::size_t>(size - 1500, 4000); place += 97) {
            const auto broken = files.folder.path() / "broken.dcm";
            fs::copy_file(files.packed, broken, fs::copy_options::overwrite_existing);
            spoil(broken, place, std::string("\xFF\xC4\xFF\x00\x7F\xD9", 6));
            const auto image = reader.read(broken);
            if (!image) CHECK_FALSE(image.error().message.empty());
            ++(image ? images : errors);
        }
        CHECK_MESSAGE(reader.read(files.packed), "the next slice goes on");
    }
    for (const char* name : {"fuzz", "zoo"}) {
        const auto folder = test::data_folder() / name;
        if (!fs::exists(folder)) {
            MESSAGE("no shared data: skipped");
            continue;
        }
        for (const auto& file : test::files_with_content(folder)) ++(reader.read(file) ? images : errors);
    }
    CHECK(images > 50);
    CHECK(errors > 50);
    MESSAGE(images << " images, " << errors << " errors, " << reader.starts() << " processes");
}

TEST_CASE("A decoding process ends with the one that started it") {
    const Packed files(kRle);
    pid_t pid = -1;
    {
        PixelReader reader(child());
        REQUIRE(reader.read(files.packed));
        pid = reader.child_pid();
        REQUIRE(::kill(pid, 0) == 0);
    }
    CHECK(::kill(pid, 0) != 0);
    // Nothing tells it but the end of its input, as after kill -9 of the node.
    const auto ended =
        test::run({"/bin/sh", "-c", std::string(SCOPENODE_PROGRAM) + " decode-slices < /dev/null"});
    CHECK(ended.rc == 0);
    CHECK(ended.output == "decoder 1\n");
    const auto nonsense =
        test::run({"/bin/sh", "-c",
                   "echo 'this is no request' | " + std::string(SCOPENODE_PROGRAM) + " decode-slices"});
    CHECK(nonsense.rc == 1);
    CHECK(nonsense.output.find("no request to decode") != std::string::npos);
}

TEST_CASE("A node decodes compressed studies in a process that ends with it even after kill -9") {
    const TemporaryFolder folder;
    const auto phantom = test::make_phantoms(folder.path() / "ph", 1, 10, 5).at(0);
    std::vector<fs::path> packed;
    for (const auto& slice : phantom.slices) {
        packed.push_back(folder.path() / ("rle-" + slice.filename().string()));
        REQUIRE(test::run({"dcmcrle", slice.string(), packed.back().string()}).rc == 0);
    }
    test::Node node(folder.path() / "node", 1);
    node.start();
    // storescu offers RLE beside what it offers always.
    const auto sent = node.storescu(packed, {"-xr"});
    REQUIRE_MESSAGE(sent.rc == 0, sent.output);
    REQUIRE(test::eventually([&] { return node.state_of(phantom.study_uid) == "done"; }));
    CHECK(node.ask({"studies", "show", phantom.study_uid})["slices"].size() == 10);
    const auto decoders = [&] {
        std::vector<std::string> found;
        const auto children = fs::path("/proc") / std::to_string(node.pid()) / "task";
        for (const auto& thread : fs::directory_iterator(children)) {
            std::istringstream pids(read_file(thread.path() / "children").value_or(""));
            for (std::string pid; pids >> pid;) {
                const auto words = read_file("/proc/" + pid + "/cmdline").value_or("");
                if (words.find("decode-slices") != std::string::npos) found.push_back(pid);
            }
        }
        return found;
    };
    const auto running = decoders();
    REQUIRE(running.size() == 1);
    node.kill9();
    CHECK(test::eventually([&] { return !fs::exists("/proc/" + running[0]); }));
}

TEST_CASE("Slices from many threads are each their own") {
    const Packed rle(kRle, 128), jpeg(kJpeg);
    const auto small = storage::read_hu(rle.native), large = storage::read_hu(jpeg.native);
    PixelReader reader(child());
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10; ++i) {
                const bool is_small = (t + i) % 2 == 0;
                const auto image = reader.read(is_small ? rle.packed : jpeg.packed);
                if (image && image->hu == (is_small ? small : large)->hu) ++right;
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(right == 40);
    CHECK(reader.starts() == 1);
}

TEST_CASE("One process decodes slice after slice at the speed of decoding") {
    const storage::Codecs codecs;
    for (const Words& packer : {kRle, kJpeg}) {
        const Packed files(packer);
        PixelReader inside, outside(child());
        REQUIRE(outside.read(files.packed));
        // The quickest of many: what the machine does beside it is not what is measured.
        const auto rate = [&](PixelReader& reader) {
            double best = 1e9;
            for (int i = 0; i < 60; ++i) {
                const auto start = std::chrono::steady_clock::now();
                REQUIRE(reader.read(files.packed));
                best = std::min(
                    best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
            }
            return 1 / best;
        };
        const double in = rate(inside), out = rate(outside);
        MESSAGE(packer.front() << " 512 x 512: " << in << " slices/s in this process, " << out
                               << " in its own");
        CHECK(outside.starts() == 1);
        CHECK(out > 2);  // a start for each slice would take longer
    }
}
