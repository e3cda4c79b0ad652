#include "storage/index/audit.h"

#include "base/core/ids.h"
#include "storage/index/sql.h"

namespace scopenode::storage {
namespace {

using namespace sql;

// Lengths before the values: no two different rows give the same text.
std::string chain_hash(const std::string& before, const AuditRow& r) {
    std::string joined = before;
    for (const std::string& part : {std::to_string(r.time), r.actor, r.action, r.subject, r.detail})
        joined += fmt::format("|{}:{}", part.size(), part);
    return sha256_hex(joined);
}

AuditRow audit_row(SQLite::Statement& s) {
    return {integer(s, 0), integer(s, 1), text(s, 2), text(s, 3), text(s, 4), text(s, 5), text(s, 6)};
}

}  // namespace

Status add_audit(Connection& db, UtcMs time, const std::string& actor, const std::string& action,
                 const std::string& subject, const std::string& detail) {
    return run([&]() -> Status {
        const AuditRow row{0, time, actor, action, subject, detail, ""};
        auto& last = query(db, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1");
        const std::string before = last.executeStep() ? text(last, 0) : "";
        last.tryReset();
        execute(db,
                "INSERT INTO audit (time, actor, action, subject, detail, hash) VALUES (?, ?, ?, ?, ?, ?)",
                row.time, row.actor, row.action, row.subject, row.detail, chain_hash(before, row));
        return {};
    });
}

Result<std::optional<std::int64_t>> broken_audit_row(Connection& db) {
    return run([&]() -> Result<std::optional<std::int64_t>> {
        auto& s = query(db, "SELECT id, time, actor, action, subject, detail, hash FROM audit ORDER BY id");
        std::string before;
        std::int64_t expected = 1;
        while (s.executeStep()) {
            const AuditRow row = audit_row(s);
            if (row.id != expected++ || row.hash != chain_hash(before, row))
                return std::optional<std::int64_t>(row.id);
            before = row.hash;
        }
        return std::optional<std::int64_t>();
    });
}

Result<std::vector<AuditRow>> list_audit(Connection& db, int limit) {
    return run([&]() -> Result<std::vector<AuditRow>> {
        auto& s = query(
            db, "SELECT id, time, actor, action, subject, detail, hash FROM audit ORDER BY id DESC LIMIT ?",
            limit);
        std::vector<AuditRow> rows;
        while (s.executeStep()) rows.push_back(audit_row(s));
        return rows;
    });
}

}  // namespace scopenode::storage
