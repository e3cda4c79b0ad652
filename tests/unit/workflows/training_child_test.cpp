#include "workflows/training/child.h"

#include <doctest/doctest.h>

#include "base/core/files.h"

using namespace scopenode;
using namespace scopenode::workflows;

namespace {

/// Runs a shell line as a step of a retraining job.
struct Step {
    TemporaryFolder folder;
    config::Settings::Training training;
    std::atomic<bool> stopping{false};
    std::vector<std::string> lines;
    std::function<Result<bool>()> should_wait;

    Status run(const std::string& line) {
        return run_child({{"/bin/sh", "-c", line},
                          folder.path() / "log",
                          training,
                          [&](const std::string& said) { lines.push_back(said); },
                          should_wait},
                         stopping);
    }
};
// Ends only with its parent: when its standard input closes.
constexpr const char* kForever = "while read x; do :; done";

}  // namespace

TEST_CASE("a step's lines are heard one by one and its failure has its last words") {
    Step step;
    CHECK(step.run("echo one; printf tw; echo o"));
    CHECK(step.lines == std::vector<std::string>{"one", "two"});
    const auto failed = step.run("echo 'the disk is full' >&2; exit 3");
    REQUIRE(!failed);
    CHECK(failed.error().code == Code::kInternal);
    CHECK(failed.error().message.find("the disk is full") != std::string::npos);
}

TEST_CASE("a step that was killed is worth another try") {
    Step step;
    const auto killed = step.run("kill -9 $$");
    REQUIRE(!killed);
    CHECK(killed.error().retryable());
    CHECK(killed.error().message.find("signal 9") != std::string::npos);
}

TEST_CASE("a step ends when it needs too much memory when somebody cancels it and when the node stops") {
    Step step;
    step.training.memory_mb = 0;
    CHECK(step.run(kForever).error().message.find("training.memory_mb") != std::string::npos);
    step.training.memory_mb = 8192;
    step.should_wait = []() -> Result<bool> { return fail(Code::kCancelled, "a person"); };
    CHECK(step.run(kForever).error().message == "a person");
    step.should_wait = nullptr;
    step.stopping = true;
    CHECK(step.run(kForever).error().code == Code::kCancelled);
}

TEST_CASE("a step says nothing while studies wait and goes on afterwards") {
    Step step;
    int asked = 0;
    std::size_t before = 0, after = 0;
    step.should_wait = [&]() -> Result<bool> {
        ++asked;
        if (asked == 3)
            before = step.lines.size();  // stopped since the first question; what was under way is heard
        if (asked == 6) after = step.lines.size();
        return asked < 6;
    };
    CHECK(step.run("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.1; done"));
    CHECK(before == after);
    CHECK(before < 10);
    CHECK(step.lines.size() == 10);
}
