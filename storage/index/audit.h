#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace scopenode::storage {

class Connection;

/// Append-only; each row carries the hash of the one before: sha256(previous hash, time, actor, action, subject, detail).
struct AuditRow {
    std::int64_t id = 0;
    UtcMs time = 0;
    std::string actor, action, subject, detail, hash;
};
Status add_audit(Connection& db, const AuditRow& row);
/// The first row whose hash does not follow, or nothing when the chain is whole.
Result<std::optional<std::int64_t>> broken_audit_row(Connection& db);
Result<std::vector<AuditRow>> list_audit(Connection& db, int limit);

}  // namespace scopenode::storage
