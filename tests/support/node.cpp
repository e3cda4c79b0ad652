#include "tests/support/node.h"

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "base/core/files.h"
#include "storage/dicom/header.h"

namespace scopenode::test {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

void must(const ProgramResult& result, const std::string& what) {
    if (result.rc != 0)
        throw std::runtime_error(what + " failed with " + std::to_string(result.rc) + ": " + result.output);
}

}  // namespace

ProgramResult program(const std::vector<std::string>& words, const RunOptions& options) {
    std::vector<std::string> argv{SCOPENODE_PROGRAM};
    argv.insert(argv.end(), words.begin(), words.end());
    return run(argv, options);
}

Node::Node(fs::path folder, int quiet_seconds, const std::vector<std::string>& more)
    : folder_(std::move(folder)), log_(folder_.string() + ".log") {
    std::vector<std::string> words{"init",         folder_.string(),
                                   "--dimse-port", "0",
                                   "--http-port",  "0",
                                   "--quiet",      std::to_string(quiet_seconds)};
    words.insert(words.end(), more.begin(), more.end());
    must(program(words), "init");
    // Tests run on small disks too, and a retry must not make them wait.
    set("/archive/keep_free_mb", 1);
    set("/delivery/first_retry_seconds", 1);
    set("/delivery/longest_retry_seconds", 2);
    set("/inference/threads", 2);
}

void Node::set(const std::string& pointer, const json& value) {
    const fs::path file = folder_ / "node.json";
    const auto text = read_file(file);
    if (!text) throw std::runtime_error(text.error().message);
    json settings = json::parse(*text);
    settings[json::json_pointer(pointer)] = value;
    if (!write_file(real_files(), file, settings.dump(2))) throw std::runtime_error("cannot write node.json");
}

void Node::start(const RunOptions& options) {
    child_ = Child({SCOPENODE_PROGRAM, "serve", folder_.string()}, log_, options);
    const bool ready = eventually([&] {
        const auto text = read_file(folder_ / "run" / "ready.json");
        if (!text) return !child_.alive();
        const json said = json::parse(*text, nullptr, false);
        // Of this process, not of one that was killed before.
        if (said.is_discarded() || said.value("pid", 0) != child_.pid()) return !child_.alive();
        dimse_port_ = said.at("dimse_port");
        http_port_ = said.at("http_port");
        return true;
    });
    if (!ready || !child_.alive()) throw std::runtime_error("the node did not get ready:\n" + log());
}

int Node::start_and_fail() {
    child_ = Child({SCOPENODE_PROGRAM, "serve", folder_.string()}, log_);
    if (!eventually([&] { return !child_.alive(); })) throw std::runtime_error("the node serves");
    return child_.wait();
}

int Node::stop() {
    child_.send(SIGTERM);
    return child_.wait();
}

void Node::kill9() {
    child_.send(SIGKILL);
    child_.wait();
}

std::string Node::log() const {
    return read_file(log_).value_or("");
}

ProgramResult Node::command(std::vector<std::string> words) const {
    words.insert(words.end(), {"--node", folder_.string()});
    return program(words);
}

json Node::ask(std::vector<std::string> words) const {
    words.push_back("--json");
    std::string all;
    for (const auto& word : words) all += word + " ";
    const auto result = command(words);
    must(result, all);
    return json::parse(result.output);
}

std::string Node::state_of(const std::string& study_uid) const {
    const json list = ask({"studies", "list"});
    for (const auto& study : list.at("studies"))
        if (study.at("study_uid") == study_uid) return study.at("state");
    return "";
}

int Node::revision_of(const std::string& study_uid) const {
    const json list = ask({"studies", "list"});
    for (const auto& study : list.at("studies"))
        if (study.at("study_uid") == study_uid) return study.at("revision");
    return -1;
}

std::pair<int, std::string> Node::http(const std::string& path) const {
    return http_request(http_port_, path);
}

ProgramResult Node::storescu(const std::vector<fs::path>& paths,
                             const std::vector<std::string>& options) const {
    std::vector<std::string> argv{"storescu", "-aec", "SCOPENODE", "-v", "+sd", "+r"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {"127.0.0.1", std::to_string(dimse_port_)});
    for (const fs::path& path : paths) argv.push_back(path.string());
    RunOptions run_options;
    run_options.environment = {{"TCP_NODELAY", "1"}};
    return run(argv, run_options);
}

void Node::receive(const std::vector<fs::path>& paths) const {
    must(storescu(paths), "storescu");
}

std::vector<PhantomFiles> make_phantoms(const fs::path& out, int studies, int slices, int seed, int size) {
    must(program({"phantom", out.string(), "--studies", std::to_string(studies), "--slices",
                    std::to_string(slices), "--seed", std::to_string(seed), "--size", std::to_string(size)}),
         "phantom");
    std::vector<PhantomFiles> all;
    for (const auto& entry : fs::directory_iterator(out)) {
        if (!entry.is_directory()) continue;
        PhantomFiles one;
        for (const auto& file : fs::directory_iterator(entry.path())) one.slices.push_back(file.path());
        std::sort(one.slices.begin(), one.slices.end());
        const auto header = storage::read_header(one.slices.at(0));
        if (!header) throw std::runtime_error(header.error().message);
        one.study_uid = header->study_uid;
        all.push_back(std::move(one));
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.slices.front() < b.slices.front(); });
    return all;
}

std::pair<int, std::string> http_request(int port, const std::string& path, const std::string& post) {
    std::vector<std::string> argv{"curl",       "--silent", "--noproxy",   "*",
                                  "--max-time", "60",       "--write-out", "\n%{http_code}"};
    if (!post.empty()) argv.insert(argv.end(), {"--data", post});
    argv.push_back("http://127.0.0.1:" + std::to_string(port) + path);
    const auto result = run(argv);
    const auto line = result.output.rfind('\n');
    if (line == std::string::npos) return {0, result.output};
    return {std::atoi(result.output.c_str() + line + 1), result.output.substr(0, line)};
}

}  // namespace scopenode::test
