#include "workflows/commitment.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/log.h"
#include "storage/index/catalog.h"
#include "workflows/retry.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr const char* kRoom = "commitment";
constexpr int kReportsInAPass = 100;
/// How long an association may hold on to a report before pass() takes it up.
constexpr UtcMs kHeldMs = 60'000;
constexpr UtcMs kReportForMs = UtcMs{72} * 3600'000;

}  // namespace

Result<std::int64_t> CommitmentService::accept(const CommitmentNotice& question,
                                               const std::string& calling_ae) {
    const UtcMs now = p_.clock.now();
    std::int64_t id = 0;
    SCOPENODE_TRY(p_.archive.index().write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(id, add_commitment_request(db, question, calling_ae, now, now + kHeldMs));
        return {};
    }));
    log::info(kRoom, "{} asks for {} instances, transaction {}", calling_ae, question.instances.size(),
              question.transaction_uid);
    return id;
}

Result<int> CommitmentService::failure_of(const CommitmentInstance& asked) {
    SCOPENODE_ASSIGN(const auto row, p_.archive.index().read([&](Connection& db) {
        return find_instance(db, asked.sop_instance_uid);
    }));
    if (!row) return failure_reason::kNoSuchInstance;
    if (row->sop_class_uid != asked.sop_class_uid) return failure_reason::kClassConflict;
    std::error_code unreadable;
    const auto bytes = std::filesystem::file_size(p_.archive.absolute(row->path), unreadable);
    if (!unreadable && bytes == row->bytes) return 0;
    log::error(kRoom, "the file of instance {} is missing or has another size: not committed",
               asked.sop_instance_uid);
    return failure_reason::kNoSuchInstance;
}

Result<CommitmentNotice> CommitmentService::check(std::int64_t request) {
    SCOPENODE_ASSIGN(const auto row, p_.archive.index().read([&](Connection& db) {
        return find_commitment_request(db, request);
    }));
    if (!row) return fail(Code::kNotFound, "no commitment request {}", request);
    if (row->state != "waiting") return fail(Code::kConflict, "request {} is {}", request, row->state);
    CommitmentNotice notice{row->transaction_uid, row->instances};
    for (CommitmentInstance& one : notice.instances) {
        SCOPENODE_ASSIGN(one.failure, failure_of(one));
    }
    SCOPENODE_TRY(p_.archive.index().write(
        [&](Connection& db) { return commitment_checked(db, request, notice.instances); }));
    return notice;
}

Status CommitmentService::reported(std::int64_t request) {
    const UtcMs now = p_.clock.now();
    return p_.archive.index().write([&](Connection& db) { return commitment_reported(db, request, now); });
}

Status CommitmentService::not_reported(std::int64_t request) {
    const UtcMs now = p_.clock.now();
    SCOPENODE_TRY(p_.archive.index().write(
        [&](Connection& db) { return commitment_not_reported(db, request, "", now); }));
    if (p_.wake) p_.wake();
    return {};
}

Status CommitmentService::receive(const CommitmentNotice& report, const std::string& calling_ae) {
    const UtcMs now = p_.clock.now();
    bool known = false;
    SCOPENODE_TRY(p_.archive.index().write([&](Connection& db) -> Status {
        SCOPENODE_ASSIGN(known, answer_commitment(db, report, now, now + first_pause(p_.settings)));
        return {};
    }));
    if (!known) return fail(Code::kNotFound, "transaction {} is not ours", report.transaction_uid);
    const auto failed = std::ranges::count_if(report.instances,
                                              [](const CommitmentInstance& one) { return one.failure != 0; });
    if (failed > 0)
        log::warning(kRoom, "{} did not commit to {} of {} objects, transaction {}", calling_ae, failed,
                     report.instances.size(), report.transaction_uid);
    else
        log::info(kRoom, "{} committed to {} objects, transaction {}", calling_ae, report.instances.size(),
                  report.transaction_uid);
    if (failed > 0 && p_.wake) p_.wake();
    return {};
}

const config::Destination* CommitmentService::peer_named(const std::string& ae_title) const {
    for (const auto* list : {&p_.settings.peers, &p_.settings.destinations})
        for (const config::Destination& one : *list)
            if (one.ae_title == ae_title) return &one;
    return nullptr;
}

Result<bool> CommitmentService::pass(const std::atomic<bool>& stopping) {
    const UtcMs now = p_.clock.now();
    SCOPENODE_ASSIGN(const auto due, p_.archive.index().read([&](Connection& db) {
        return commitment_reports_due(db, now, kReportsInAPass);
    }));
    std::map<std::string, UtcMs> silent;
    std::vector<std::pair<std::int64_t, UtcMs>> put_off;
    bool moved = false;
    for (const CommitmentRequestRow& row : due) {
        if (stopping) break;
        if (const auto known = silent.find(row.calling_ae); known != silent.end()) {
            put_off.emplace_back(row.id, known->second);
            continue;
        }
        SCOPENODE_ASSIGN(const auto again, report(row));
        if (again) silent[row.calling_ae] = *again;
        moved = moved || !again;
    }
    if (put_off.empty()) return moved;
    SCOPENODE_TRY(p_.archive.index().write([&](Connection& db) -> Status {
        for (const auto& [id, next] : put_off) SCOPENODE_TRY(commitment_not_reported(db, id, "", next));
        return {};
    }));
    return moved;
}

Result<std::optional<UtcMs>> CommitmentService::report(const CommitmentRequestRow& row) {
    const config::Destination* peer = peer_named(row.calling_ae);
    Status told =
        fail(Code::kNotFound, "node.json gives no address of {}: list it in /peers", row.calling_ae);
    if (peer) {
        SCOPENODE_ASSIGN(const CommitmentNotice notice, check(row.id));
        told = p_.report(*peer, notice);
    }
    if (told) {
        SCOPENODE_TRY(reported(row.id));
        return std::optional<UtcMs>();
    }
    const UtcMs now = p_.clock.now();
    const UtcMs again = now + pause_before(row.attempts + 1, p_.settings);
    // A peer that says no is asked again too: most often it learns our AE title later.
    const bool for_good = now - row.requested > kReportForMs;
    log::warning(kRoom, "the report on transaction {} to {}: {}{}", row.transaction_uid, row.calling_ae,
                 told.error().message, for_good ? "; given up" : "");
    SCOPENODE_TRY(p_.archive.index().write([&](Connection& db) {
        return commitment_not_reported(db, row.id, told.error().message,
                                       for_good ? std::nullopt : std::optional<UtcMs>(again));
    }));
    return std::optional<UtcMs>(again);
}

}  // namespace scopenode::workflows
