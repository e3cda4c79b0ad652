#include "workflows/training/commands.h"

#include <span>

#include "base/core/files.h"
#include "workflows/training/labels.h"
#include "workflows/training/promotion.h"
#include "workflows/training/retraining.h"

namespace scopenode::workflows {
namespace {

using storage::Connection;

/// `labels import FILE [--reader NAME]`
Result<std::string> import_words(Connection& db, std::span<const std::string> words, UtcMs now) {
    std::string file, reader;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--reader" && i + 1 < words.size())
            reader = words[++i];
        else if (file.empty())
            file = words[i];
        else
            return fail(Code::kInvalidArgument, "labels import does not know '{}'", words[i]);
    }
    return import_labels(db, file, reader, now);
}

/// `models verdict CANDIDATE CHAMPION FILE`
Result<std::string> verdict_words(Connection& db, const std::vector<std::string>& words, UtcMs now) {
    SCOPENODE_ASSIGN(const auto text, read_file(words[4]));
    SCOPENODE_TRY(keep_verdict(db, words[2], words[3], text, now));
    return fmt::format("the verdict on model {} is kept", words[2]);
}

Result<std::string> carry_out(Connection& db, const config::Settings& settings,
                              const std::filesystem::path& node, UtcMs now,
                              const std::vector<std::string>& words) {
    const std::span rest = std::span(words).subspan(1);
    if (words[0] == "users") return run_user_command(db, now, rest);
    if (words[0] == "train") return run_train_command(db, settings, node, now, "command line", rest);
    if (words[0] == "models" && words[1] == "verdict" && words.size() == 5)
        return verdict_words(db, words, now);
    if (words[0] == "models") return run_model_command(db, node, now, rest);
    if (words[1] == "import") return import_words(db, rest.subspan(1), now);
    if (words[1] == "add") return add_labels(db, rest.subspan(1), now);
    return fail(Code::kInvalidArgument, "no such command: {}", fmt::join(words, " "));
}

}  // namespace

bool is_learning_command(const std::vector<std::string>& words) {
    if (words.size() < 2) return false;
    if (words[0] == "models") return words[1] != "register";
    return words[0] == "labels" || words[0] == "train" || words[0] == "users";
}

Result<std::string> run_learning_command(storage::Index& index, const config::Settings& settings,
                                         const std::filesystem::path& node, const Clock& clock,
                                         const std::vector<std::string>& words) {
    if (!is_learning_command(words))
        return fail(Code::kInvalidArgument, "no such command: {}", fmt::join(words, " "));
    std::string text;
    SCOPENODE_TRY(index.write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(text, carry_out(db, settings, node, clock.now(), words));
        return {};
    }));
    return text;
}

}  // namespace scopenode::workflows
