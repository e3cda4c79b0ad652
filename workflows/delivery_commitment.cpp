#include <algorithm>

#include "base/log.h"
#include "storage/index/commitments.h"
#include "workflows/delivery.h"
#include "workflows/retry.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr const char* kRoom = "delivery";
/// A peer that has taken the question gets so many chances to report, each pause twice the one before: five
/// hours.
constexpr int kMostQuestions = 5;
constexpr UtcMs kFirstSilenceMs = 600'000;
/// Some peers report over the association of the question. Others are waited for in vain, so not for long.
constexpr auto kReportWait = std::chrono::milliseconds(2000);
constexpr auto kReportStep = std::chrono::milliseconds(100);

UtcMs silence_after(int asked) {
    return kFirstSilenceMs << std::min(asked, kMostQuestions);
}

}  // namespace

// A question is in the index before it goes out, so that a crash asks it again and not another one.
Status Delivery::commit(Run& run) {
    if (run.destination.storage_commitment == "never") return {};
    const std::string& name = run.destination.name;
    const UtcMs now = clock_.now();
    SCOPENODE_ASSIGN(const bool due,
                     index_.read([&](Connection& db) { return commitment_is_due(db, name, now); }));
    if (!due) return {};
    SCOPENODE_TRY(index_.write([&](Connection& db) { return open_commitments(db, name, now); }));
    SCOPENODE_ASSIGN(const auto rows,
                     index_.read([&](Connection& db) { return commitments_due(db, name, now); }));
    return commit_due(run, rows);
}

Status Delivery::commit_due(Run& run, const std::vector<CommitmentRow>& due) {
    std::vector<CommitmentRow> asked;
    for (const CommitmentRow& row : due) {
        if (run.stopping || run.broken) return {};
        if (row.asked >= kMostQuestions) {
            const std::string error =
                row.last_error.empty() ? "no report on it came" : "no commitment, last " + row.last_error;
            log::warning(kRoom, "transaction {} of {}: {}; given up", row.transaction_uid, row.destination,
                         error);
            SCOPENODE_TRY(index_.write(
                [&](Connection& db) { return end_commitment(db, row.id, "given_up", error, clock_.now()); }));
            continue;
        }
        SCOPENODE_ASSIGN(const bool connected, connected_to_ask(run, row));
        if (!connected) return {};
        if (!run.association->takes(kStorageCommitment)) {
            SCOPENODE_TRY(not_offered(run, row));
            continue;
        }
        SCOPENODE_ASSIGN(const bool taken, ask(run, row));
        if (taken) asked.push_back(row);
    }
    return await_reports(run, asked);
}

Result<bool> Delivery::connected_to_ask(Run& run, const CommitmentRow& row) {
    if (run.association && run.association->usable()) return true;
    const Status connected = connect(run, {});
    if (connected) return true;
    const Error& error = connected.error();
    log::warning(kRoom, "destination {}: {}", run.destination.name, error.message);
    pause(run);
    run.broken = true;
    if (error.retryable()) return false;
    // A peer that rejects us for good is asked no more often than one that is silent.
    SCOPENODE_TRY(index_.write([&](Connection& db) {
        return commitment_asked(db, row.id, clock_.now() + silence_after(row.asked), error.message);
    }));
    return false;
}

Status Delivery::not_offered(Run& run, const CommitmentRow& row) {
    const UtcMs now = clock_.now();
    if (run.destination.storage_commitment == "always")
        return index_.write([&](Connection& db) {
            return commitment_asked(db, row.id, now + silence_after(row.asked),
                                    "the peer does not offer Storage Commitment");
        });
    return index_.write([&](Connection& db) { return end_commitment(db, row.id, "none", "", now); });
}

Result<bool> Delivery::ask(Run& run, const CommitmentRow& row) {
    const auto answer = run.association->ask_commitment({row.transaction_uid, row.instances});
    // Some peers break off at a question of somebody whom they do not know: that counts as an answer, or they
    // would be asked without end.
    std::string error;
    if (!answer) {
        error = answer.error().message;
        run.broken = true;
    } else if (answer->status != 0) {
        error = fmt::format("status {:04X} {}", answer->status, answer->comment);
    }
    if (!error.empty()) log::warning(kRoom, "{} takes no commitment request: {}", row.destination, error);
    const UtcMs next = clock_.now() + silence_after(row.asked);
    SCOPENODE_TRY(index_.write([&](Connection& db) { return commitment_asked(db, row.id, next, error); }));
    return error.empty();
}

Result<bool> Delivery::still_waits(const Run& run, const std::vector<CommitmentRow>& asked) {
    if (run.stopping || !run.association->usable()) return false;
    const UtcMs now = clock_.now();
    return index_.read([&](Connection& db) -> Result<bool> {
        // A result that has been made meanwhile goes first.
        SCOPENODE_ASSIGN(const auto next, next_delivery(db, run.destination.name, now));
        if (next) return false;
        for (const CommitmentRow& row : asked) {
            SCOPENODE_ASSIGN(const bool open, commitment_is_open(db, row.id));
            if (open) return true;
        }
        return false;
    });
}

Status Delivery::await_reports(Run& run, const std::vector<CommitmentRow>& asked) {
    if (asked.empty()) return {};
    for (auto waited = std::chrono::milliseconds(0); waited < kReportWait; waited += kReportStep) {
        SCOPENODE_ASSIGN(const bool waits, still_waits(run, asked));
        if (!waits) return {};
        const auto report = run.association->next_report(kReportStep);
        // The peer may have gone to report on an association of its own.
        if (!report) return {};
        if (!*report) continue;
        const UtcMs now = clock_.now();
        SCOPENODE_TRY(index_.write([&](Connection& db) -> Status {
            SCOPENODE_ASSIGN(const bool ours,
                             answer_commitment(db, **report, now, now + first_pause(settings_)));
            if (!ours)
                log::warning(kRoom, "a report on transaction {}, which is not ours",
                             (*report)->transaction_uid);
            return {};
        }));
        run.moved = true;
    }
    return {};
}

}  // namespace scopenode::workflows
