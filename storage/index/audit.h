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
/// `actor` did `action` to `subject`: a new last row.
Status add_audit(Connection& db, UtcMs time, const std::string& actor, const std::string& action,
                 const std::string& subject, const std::string& detail = "");
/// The first row whose hash does not follow, or nothing when the chain is whole.
Result<std::optional<std::int64_t>> broken_audit_row(Connection& db);
Result<std::vector<AuditRow>> list_audit(Connection& db, int limit);

}  // namespace scopenode::storage
