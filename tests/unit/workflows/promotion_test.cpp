#include "workflows/training/promotion.h"

#include "base/core/ids.h"
#include "storage/index/audit.h"
#include "storage/index/models.h"
#include "storage/index/trainings.h"
#include "tests/unit/workflows/loop_fixture.h"
#include "workflows/training/commands.h"
#include "workflows/training/gate.h"
#include "workflows/training/shadow.h"

using namespace scopenode;
using namespace scopenode::workflows;
using test::Loop;

namespace {

/// A node with three registered models, of which "one" serves.
struct Registry : Loop {
    Registry() {
        for (const char* id : {"one", "two", "three"}) {
            const auto path = folder.path() / "models" / id;
            std::filesystem::create_directories(path);
            const std::string text = std::string("{\"id\": \"") + id + "\"}";
            REQUIRE(write_file(real_files(), path / "model.json", text));
            REQUIRE(index->write([&](storage::Connection& db) {
                return storage::add_model(
                    db, {id, sha256_hex(text), id, std::string("models/") + id, 1, std::string(id) == "one"});
            }));
        }
        REQUIRE(say({"users", "add", "Ada", "--role", "admin", "--account", "root"}));
        REQUIRE(say({"users", "add", "Rita", "--role", "radiologist"}));
    }
    Result<std::string> say(const std::vector<std::string>& words) {
        return run_learning_command(*index, settings, folder.path(), clock, words);
    }
    std::string refusal(const std::vector<std::string>& words) {
        const auto said = say(words);
        REQUIRE(!said);
        return said.error().message;
    }
    void judge(const std::string& id, const std::string& against, bool passed) {
        Verdict verdict;
        verdict.passed = passed;
        GateCheck check;
        check.name = "superiority";
        check.passed = passed;
        verdict.checks.push_back(check);
        if (!passed) verdict.reasons.push_back("no better");
        REQUIRE(index->write([&](storage::Connection& db) {
            return storage::set_model_verdict(db, id, against, passed, verdict_json(verdict));
        }));
    }
    std::string serves() { return index->read(storage::champion).value()->id; }
};

}  // namespace

TEST_CASE("a model serves only after the gate and a named active administrator") {
    Registry node;
    CHECK(node.refusal({"models", "approve", "two"}).find("--by") != std::string::npos);
    CHECK(node.refusal({"models", "approve", "two", "--by", "Nobody"}).find("no user Nobody") !=
          std::string::npos);
    CHECK(node.refusal({"models", "approve", "two", "--by", "Rita"}).find("no administrator") !=
          std::string::npos);
    CHECK(node.refusal({"models", "approve", "two", "--by", "Ada"}).find("was not judged") !=
          std::string::npos);
    CHECK(node.refusal({"models", "approve", "four", "--by", "Ada"}).find("no model four") !=
          std::string::npos);
    CHECK(node.refusal({"models", "approve", "one", "--by", "Ada"}).find("serves already") !=
          std::string::npos);
    node.judge("two", "one", false);
    CHECK(node.refusal({"models", "approve", "two", "--by", "Ada"}).find("no better") != std::string::npos);
    CHECK(node.serves() == "one");
    node.judge("two", "one", true);
    REQUIRE(node.say({"models", "approve", "two", "--by", "Ada", "--account", "root"}));
    CHECK(node.serves() == "two");
    const auto switches = node.index->read(storage::model_switches).value();
    REQUIRE(switches.size() == 1);
    CHECK(switches[0].by_name == "Ada");
    CHECK(switches[0].account == "root");
    CHECK(switches[0].from_model == "one");
    // What beat a model that serves no more has beaten nobody.
    node.judge("three", "one", true);
    CHECK(node.refusal({"models", "approve", "three", "--by", "Ada"}).find("judge it again") !=
          std::string::npos);
    REQUIRE(node.say({"users", "disable", "Ada"}));
    node.judge("three", "two", true);
    CHECK(node.refusal({"models", "approve", "three", "--by", "Ada"}).find("was disabled") !=
          std::string::npos);
    CHECK(node.serves() == "two");
    CHECK(node.index->read(storage::broken_audit_row).value() == std::nullopt);
}

TEST_CASE("a user who was disabled can be taken back and is nobody twice") {
    Registry node;
    CHECK(node.refusal({"users", "add", "Ada", "--role", "admin"}).find("a user Ada already") !=
          std::string::npos);
    REQUIRE(node.say({"users", "disable", "Ada"}));
    node.judge("two", "one", true);
    CHECK(node.refusal({"models", "approve", "two", "--by", "Ada"}).find("was disabled") !=
          std::string::npos);
    REQUIRE(node.say({"users", "add", "Ada", "--role", "radiologist"}));
    CHECK(node.refusal({"models", "approve", "two", "--by", "Ada"}).find("no administrator") !=
          std::string::npos);
    REQUIRE(node.say({"users", "disable", "Ada"}));
    REQUIRE(node.say({"users", "add", "Ada", "--role", "admin"}));
    REQUIRE(node.say({"models", "approve", "two", "--by", "Ada"}));
    CHECK(node.serves() == "two");
}

TEST_CASE("rollback takes approvals back one by one and never further") {
    Registry node;
    CHECK(node.refusal({"models", "rollback"}).find("no approval to take back") != std::string::npos);
    node.judge("two", "one", true);
    REQUIRE(node.say({"models", "approve", "two", "--by", "Ada"}));
    node.judge("three", "two", true);
    REQUIRE(node.say({"models", "approve", "three", "--by", "Ada"}));
    REQUIRE(node.say({"models", "rollback", "--account", "root"}));
    CHECK(node.serves() == "two");
    REQUIRE(node.say({"models", "rollback", "--by", "Ada"}));
    CHECK(node.serves() == "one");
    CHECK(node.refusal({"models", "rollback"}).find("no approval") != std::string::npos);
    // The same model may come back by a new approval, and be taken back again.
    REQUIRE(node.say({"models", "approve", "two", "--by", "Ada"}));
    CHECK(node.serves() == "two");
    REQUIRE(node.say({"models", "rollback"}));
    CHECK(node.serves() == "one");
    CHECK(node.refusal({"models", "rollback", "--by", "Rita"}).find("no administrator") != std::string::npos);
}

TEST_CASE("a model whose files were changed is never switched to") {
    Registry node;
    node.judge("two", "one", true);
    REQUIRE(write_file(real_files(), node.folder.path() / "models/two/model.json", "{}"));
    CHECK(node.refusal({"models", "approve", "two", "--by", "Ada"}).find("sha256 differs") !=
          std::string::npos);
    CHECK(node.serves() == "one");
}

TEST_CASE("users have a role and a name and are disabled once") {
    Registry node;
    CHECK(node.refusal({"users", "add", "Ada", "--role", "admin"}).find("a user Ada already") !=
          std::string::npos);
    CHECK(node.refusal({"users", "add", "Eve", "--role", "boss"}).find("--role is") != std::string::npos);
    CHECK(node.refusal({"users", "add", " ", "--role", "admin"}).find("printable") != std::string::npos);
    CHECK(node.refusal({"users", "disable", "Eve"}).find("no active user Eve") != std::string::npos);
    REQUIRE(node.say({"users", "disable", "Rita"}));
    CHECK(node.refusal({"users", "disable", "Rita"}).find("no active user") != std::string::npos);
    const auto users = nlohmann::json::parse(users_list(*node.index, true).value())["users"];
    REQUIRE(users.size() == 2);
    CHECK(users[0]["created_by"] == "root");
    CHECK(users[0]["disabled"].is_null());
    CHECK(users[1]["disabled"].is_string());
}

TEST_CASE("a shadow scores what the champion reported and sends nothing") {
    Registry node;
    const auto shadow_model = std::make_shared<test::FakeModel>();
    Shadow shadow({node.settings, *node.index, *node.archive,
                   [&](const std::string&) { return Result<std::shared_ptr<const ml::Model>>(shadow_model); },
                   node.pixels, node.clock});
    const auto turn = [&] { return shadow.turn([] { return Status(); }); };
    CHECK_FALSE(turn().value());
    REQUIRE(node.say({"models", "shadow", "two"}));
    CHECK(node.refusal({"models", "shadow", "one"}).find("serves") != std::string::npos);
    test::SmallStudy study;
    node.receive(study, 0, 12);
    node.quiet();
    REQUIRE(node.work_once());
    const auto deliveries = node.show(study.study_uid)["deliveries"].size();
    CHECK(turn().value());
    CHECK_FALSE(turn().value());
    CHECK(node.show(study.study_uid)["deliveries"].size() == deliveries);
    CHECK(node.results(study.study_uid) == 1);
    const auto said =
        node.index->read([](storage::Connection& db) { return storage::shadow_results(db, "two", 10); });
    REQUIRE(said);
    REQUIRE(said->size() == 1);
    CHECK(said->front().study_uid == study.study_uid);
    CHECK_FALSE(said->front().disagrees);
    CHECK(shadow_list(*node.index, "nine", false).error().message.find("no model nine") != std::string::npos);
    CHECK(shadow_list(*node.index, "two", false)->find("agrees") != std::string::npos);
    REQUIRE(node.say({"models", "shadow", "off"}));
    CHECK_FALSE(turn().value());
}

TEST_CASE("retraining jobs are claimed one at a time cancelled and resumed") {
    Registry node;
    const auto add = [&] {
        std::int64_t id = 0;
        REQUIRE(node.index->write([&](storage::Connection& db) -> Status {
            SCOPENODE_ASSIGN(id, storage::add_training(db, "{}", "test", node.clock.now()));
            return {};
        }));
        return id;
    };
    const auto claim = [&] {
        std::optional<storage::TrainingRow> row;
        REQUIRE(node.index->write([&](storage::Connection& db) -> Status {
            SCOPENODE_ASSIGN(row, storage::claim_training(db, node.clock.now()));
            return {};
        }));
        return row;
    };
    const auto first = add(), second = add();
    const auto claimed = claim();
    REQUIRE(claimed);
    CHECK(claimed->id == first);
    CHECK(claimed->attempts == 1);
    CHECK_FALSE(claim());  // one at a time
    REQUIRE(node.say({"train", "cancel", std::to_string(first)}));
    const auto ended =
        node.index->write([&](storage::Connection& db) { return storage::note_training(db, *claimed); });
    REQUIRE(!ended);
    CHECK(ended.error().code == Code::kCancelled);
    CHECK(claim()->id == second);
    REQUIRE(node.index->write([](storage::Connection& db) -> Status {
        SCOPENODE_ASSIGN(const int count, storage::requeue_trainings(db));
        CHECK(count == 1);
        return {};
    }));
    CHECK(claim()->attempts == 2);  // the attempt before the crash counts
    REQUIRE(node.say({"train", "resume", std::to_string(first)}));
    CHECK(node.refusal({"train", "resume", std::to_string(second)}).find("is running") != std::string::npos);
    CHECK(node.refusal({"train", "cancel", "99"}).find("no retraining job 99") != std::string::npos);
    CHECK(node.refusal({"train", "cancel", "x"}).find("needs a number") != std::string::npos);
    CHECK(node.refusal({"train", "start", "--what", "1"}).find("does not know") != std::string::npos);
    CHECK(node.refusal({"train", "start", "--from", "nine"}).find("no model nine") != std::string::npos);
    CHECK(node.refusal({"train", "start", "--learning-rate", "5"}).find("at most 1") != std::string::npos);
    CHECK(node.refusal({"train", "start", "--epochs", "0"}).find("above 0") != std::string::npos);
}
