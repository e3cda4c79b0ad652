#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/core/files.h"
#include "dicom_node/control/control.h"

using namespace scopenode;
using namespace scopenode::dicom_node;
namespace fs = std::filesystem;

TEST_CASE("the node's lock is held once and names its holder") {
    const TemporaryFolder folder;
    {
        const auto lock = NodeLock::take(folder.path());
        REQUIRE(lock);
        const auto second = NodeLock::take(folder.path());
        REQUIRE(!second);
        CHECK(second.error().code == Code::kInUse);
        CHECK(second.error().message.find(std::to_string(::getpid())) != std::string::npos);
    }
    CHECK(NodeLock::take(folder.path()));
}

TEST_CASE("words over the control socket come back as text or as the error that the node gave") {
    const TemporaryFolder folder;
    // Longer than a socket's address may be.
    const fs::path node = folder.path() / std::string(120, 'n');
    fs::create_directories(node / "run");
    std::ofstream(node / "run" / "control.sock") << "left over";
    auto started =
        ControlServer::start(node, [](const std::vector<std::string>& words) -> Result<std::string> {
            if (words.at(0) == "fail") return fail(Code::kNotFound, "no study {}", words.at(1));
            return words.at(0) + "\nand \xff more";
        });
    REQUIRE_MESSAGE(started, (started ? "" : started.error().message));
    struct stat about {};
    REQUIRE(::stat((node / "run" / "control.sock").c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);

    const auto text = ask_node(node, {"hello"});
    REQUIRE(text);
    CHECK(text->starts_with("hello\nand "));
    const auto failed = ask_node(node, {"fail", "2.25.1"});
    REQUIRE(!failed);
    CHECK(failed.error().code == Code::kNotFound);
    CHECK(failed.error().message == "no study 2.25.1");
    CHECK(!ask_node(node, {}));  // the handler throws: an error, and the server goes on
    CHECK(ask_node(node, {"again"}));

    (*started)->stop();
    const auto nobody = ask_node(node, {"hello"});
    REQUIRE(!nobody);
    CHECK(nobody.error().code == Code::kPeerUnavailable);
}
