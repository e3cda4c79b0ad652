#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>

#include <map>
#include <sstream>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "ml/shards.h"
#include "storage/dicom/header.h"
#include "tests/support/data.h"
#include "tests/support/node.h"

using namespace scopenode;
using namespace scopenode::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string shell_words(const std::vector<std::string>& words) {
    std::string line = SCOPENODE_PROGRAM;
    for (const auto& word : words) line += " '" + word + "'";
    return line;
}

std::vector<std::string> fine_tuning(const TemporaryFolder& folder, const fs::path& out, int epochs,
                                     const char* depth) {
    return {"train",
            "run",
            (folder.path() / "data").string(),
            "--preset",
            "scopeformer_nano",
            "--from",
            SCOPENODE_SOURCE_DIR "/config/models/demo",
            "--out",
            out.string(),
            "--epochs",
            std::to_string(epochs),
            "--batch",
            "4",
            "--depth",
            depth,
            "--validation-share",
            "0.25",
            "--device",
            "cpu",
            "--progress",
            "json"};
}

std::vector<json> events_in(const std::string& text) {
    std::vector<json> events;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const json event = json::parse(line, nullptr, false);
        REQUIRE_MESSAGE(event.is_object(), line);
        events.push_back(event);
    }
    return events;
}

}  // namespace

TEST_CASE("train run tells its progress as one JSON object a line and nothing else") {
    const TemporaryFolder folder;
    make_phantoms(folder.path() / "data", 6, 4, 3);
    const auto out = folder.path() / "m";
    auto words = fine_tuning(folder, out, 2, "head");
    for (const char* word : {"--version", "2026-11", "--distillation", "0.5", "--cnn-rate", "0.1",
                             "--rehearsal-share", "0.2", "--natural-epochs", "1"})
        words.push_back(word);
    const auto ran = run({"sh", "-c", shell_words(words) + " 2>/dev/null"});
    CHECK(ran.rc == 0);
    const auto events = events_in(ran.output);
    REQUIRE(events.size() == 4);
    CHECK(events[0]["event"] == "data");
    CHECK(events[0]["slices"] == 24);
    CHECK(events[0]["skipped"].empty());
    for (const int epoch : {1, 2}) {
        const json& event = events[std::size_t(epoch)];
        CHECK(event["event"] == "epoch");
        CHECK(event["epoch"] == epoch);
        CHECK(event["epochs"] == 2);
        CHECK(event["train_loss"].is_number());
        CHECK(event["validation_loss"].is_number());
        CHECK(event["validation_auroc"].size() == 6);
        CHECK(event["slices"].get<int>() > 0);
        CHECK(event["slices_per_second"].get<double>() > 0);
        CHECK(event["waiting_share"].is_number());
        CHECK(event["peak_memory_mb"].get<double>() > 0);
    }
    CHECK(events[3]["event"] == "done");
    const auto manifest = read_file(out / "model.json");
    REQUIRE(manifest);
    CHECK(events[3]["model"] == sha256_hex(*manifest).substr(0, 12));
    CHECK(json::parse(*manifest)["version"] == "2026-11");
}

TEST_CASE("train run that watches its input ends when its parent is gone and can go on") {
    const TemporaryFolder folder;
    make_phantoms(folder.path() / "data", 6, 4, 3);
    const auto out = folder.path() / "m", pipe = folder.path() / "pipe", said = folder.path() / "said",
               errors = folder.path() / "errors";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    auto words = fine_tuning(folder, out, 10000, "head");
    words.push_back("--watch-stdin");
    Child child({"sh", "-c",
                 "exec " + shell_words(words) + " <" + pipe.string() + " >" + said.string() + " 2>" +
                     errors.string()},
                folder.path() / "log");
    const int end = ::open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(end >= 0);
    REQUIRE(::write(end, "still here\n", 11) == 11);
    CHECK(eventually(
        [&] { return read_file(said).value_or("").find("\"event\":\"epoch\"") != std::string::npos; }));
    CHECK(child.alive());
    ::close(end);
    CHECK(child.wait() == 1);
    const auto error = read_file(errors);
    REQUIRE(error);
    CHECK(error->find("standard input was closed") != std::string::npos);
    CHECK(fs::exists(out / "checkpoint.bin"));
    CHECK(!fs::exists(out / "model.json"));

    // Its checkpoint is whole: a run with other epochs is refused for that, not for damage.
    auto other = fine_tuning(folder, out, 2, "head");
    other.push_back("--resume");
    const auto refused = program(other);
    CHECK(refused.rc == 1);
    CHECK(refused.output.find("of a run with other options") != std::string::npos);
}

TEST_CASE(
    "a folder as Kaggle has it becomes shards however often the conversion is killed and is trained from") {
    const TemporaryFolder folder;
    make_phantoms(folder.path() / "made", 8, 8, 3);
    // Kaggle: one folder of files named by their ID, labels beside it.
    const fs::path kaggle = folder.path() / "rsna";
    fs::create_directories(kaggle / "stage_2_train");
    std::string csv = read_file(folder.path() / "made" / "labels.csv").value();
    int number = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path() / "made")) {
        if (entry.path().extension() != ".dcm") continue;
        const auto header = storage::read_header(entry.path());
        REQUIRE(header);
        const std::string id = "ID_" + std::to_string(100000 + ++number);
        const std::string uid = header->sop_instance_uid + "_";
        for (auto at = csv.find(uid); at != std::string::npos; at = csv.find(uid, at))
            csv.replace(at, uid.size(), id + "_");
        fs::copy_file(entry.path(), kaggle / "stage_2_train" / (id + ".dcm"));
    }
    REQUIRE(number == 64);
    REQUIRE(write_file(real_files(), kaggle / "stage_2_train.csv", csv));
    REQUIRE(write_file(real_files(), kaggle / "stage_2_train" / "ID_torn.dcm", "no DICOM"));

    const auto convert = [&](const fs::path& out) {
        return std::vector<std::string>{"train",  "convert", kaggle.string(), "--out", out.string(),
                                        "--size", "256",     "--per-shard",   "1"};
    };
    const auto digests = [](const fs::path& shards) {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::directory_iterator(shards))
            all[entry.path().filename()] = sha256_hex(read_file(entry.path()).value());
        return all;
    };
    const fs::path whole = folder.path() / "whole", broken = folder.path() / "broken";
    const auto made = program(convert(whole));
    CHECK(made.rc == 0);
    CHECK(made.output.find("left out: ") != std::string::npos);
    CHECK(made.output.find("64 shards of 256 x 256 pixels (0 were there already), 1 files left out") !=
          std::string::npos);
    CHECK(digests(whole).size() == 65);

    // Killed whenever another shard is there.
    int killed = 0;
    for (int shards = 1; shards <= 7; shards += 3) {
        auto words = convert(broken);
        words.insert(words.begin(), SCOPENODE_PROGRAM);
        Child child(words, folder.path() / "log");
        CHECK(eventually([&] {
            return fs::exists(broken / ("shard-0000" + std::to_string(shards) + ".bin")) || !child.alive();
        }));
        child.send(SIGKILL);
        (void)child.wait();
        const auto list = ml::read_shard_list(broken);
        killed += list && !list->complete;
    }
    CHECK(killed > 0);
    const auto rest = program(convert(broken));
    CHECK(rest.rc == 0);
    CHECK(rest.output.find("(0 were there already)") == std::string::npos);
    CHECK(digests(broken) == digests(whole));
    // Beside other files they would be taken for the folder's data; what was damaged since is told.
    CHECK(program(convert(kaggle)).output.find("is not empty and holds no shards") != std::string::npos);
    auto larger = convert(broken);
    larger[6] = "128";
    CHECK(program(larger).output.find("was made with --size 256, asked is 128") != std::string::npos);
    std::string bytes = read_file(whole / "shard-00001.bin").value();
    bytes[bytes.size() / 2] ^= 1;
    REQUIRE(write_file(real_files(), whole / "shard-00001.bin", bytes));
    CHECK(program(convert(whole)).output.find("shard-00001.bin does not have the sha256") !=
          std::string::npos);
    auto small = convert(folder.path() / "small");
    small[6] = "64";
    REQUIRE(program(small).rc == 0);
    auto turned = fine_tuning(folder, folder.path() / "n", 1, "head");
    turned[2] = broken.string();
    turned.push_back("--rsna-rescale-quirk");
    CHECK(program(turned).output.find("is for `train convert`") != std::string::npos);
    auto wrong = fine_tuning(folder, folder.path() / "n", 1, "head");
    wrong[2] = (folder.path() / "small").string();
    CHECK(program(wrong).output.find("convert with --size 256") != std::string::npos);

    auto words = fine_tuning(folder, folder.path() / "m", 1, "head");
    words[2] = broken.string();
    const auto ran = run({"sh", "-c", shell_words(words) + " 2>/dev/null"});
    CHECK(ran.rc == 0);
    CHECK(events_in(ran.output)[0]["slices"] == 64);
    CHECK(events_in(ran.output)[0]["skipped"].size() == 1);
    CHECK_FALSE(fs::exists(folder.path() / "m" / "slices.cache"));
}

TEST_CASE("the labelled RSNA slices are learnt from end to end without a claim") {
    const TemporaryFolder folder;
    const fs::path rsna = data_folder() / "rsna2019";
    REQUIRE(fs::exists(rsna / "labels.csv"));
    auto words = fine_tuning(folder, folder.path() / "m", 1, "all");
    words[2] = rsna.string();
    words.push_back("--rsna-rescale-quirk");
    const auto ran = run({"sh", "-c", shell_words(words) + " 2>/dev/null"});
    REQUIRE_MESSAGE(ran.rc == 0, ran.output);
    const auto events = events_in(ran.output);
    const int slices = events[0]["slices"];
    CHECK(slices == 7);  // those that have labels; illegal UIDs, no SOP class, one slice a series
    CHECK(events[0]["description"].get<std::string>().find("RSNA rescale quirk undone") != std::string::npos);
    CHECK(events.back()["event"] == "done");
    CHECK(events.back()["slices_seen"].get<int>() > 0);
    CHECK(ml::read_model_folder(folder.path() / "m").has_value());

    const fs::path shards = folder.path() / "shards";
    REQUIRE(
        program({"train", "convert", rsna.string(), "--out", shards.string(), "--rsna-rescale-quirk"}).rc ==
        0);
    CHECK(ml::ShardSet::open(shards).value()->size() == std::size_t(slices));
}

TEST_CASE("train run refuses words that make no sense") {
    const TemporaryFolder folder;
    make_phantoms(folder.path() / "data", 2, 4, 3);
    const auto out = folder.path() / "m";
    CHECK(program(fine_tuning(folder, out, 1, "tail")).rc == 2);
    auto words = fine_tuning(folder, out, 1, "all");
    words.push_back("--natural-epochs");
    words.push_back("5");
    const auto refused = program(words);
    CHECK(refused.rc == 2);
    CHECK(refused.output.find("natural epochs") != std::string::npos);
    CHECK(!fs::exists(out / "model.json"));
}
