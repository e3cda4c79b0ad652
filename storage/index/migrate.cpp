#include "storage/index/migrate.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "base/core/ids.h"
#include "scopenode_migrations.h"

namespace scopenode::storage {
namespace {

int version_of(SQLite::Database& database) {
    return database.execAndGet("PRAGMA user_version").getInt();
}

Status check_applied(SQLite::Database& database, int version, std::string_view sql,
                     const std::string& where) {
    SQLite::Statement row(database, "SELECT checksum FROM schema_migrations WHERE version = ?");
    row.bind(1, version);
    if (!row.executeStep() || row.getColumn(0).getString() != sha256_hex(sql))
        return fail(Code::kDatabase, "{}: migration {} differs from the one of this program", where, version);
    return {};
}

void apply(SQLite::Database& database, int version, const EmbeddedFile& file, UtcMs now) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " checksum TEXT NOT NULL, applied INTEGER NOT NULL) STRICT");
    database.exec(std::string(file.bytes));
    SQLite::Statement row(database, "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)");
    row.bind(1, version);
    row.bind(2, std::string(file.path.substr(file.path.rfind('/') + 1)));
    row.bind(3, sha256_hex(file.bytes));
    row.bind(4, now);
    row.exec();
    database.exec("PRAGMA user_version = " + std::to_string(version));
    transaction.commit();
}

}  // namespace

int newest_version() {
    return static_cast<int>(scopenode_migrations_files().size());
}

Status check_version(SQLite::Database& database, const std::string& where) {
    const int version = version_of(database);
    if (version > newest_version())
        return fail(Code::kNewerDatabase,
                    "{} has version {}, this program knows up to {}: use the newer program", where, version,
                    newest_version());
    if (version < newest_version())
        return fail(Code::kDatabase, "{} has version {}, not {}: start the node once to migrate it", where,
                    version, newest_version());
    return {};
}

Status migrate(SQLite::Database& database, const Clock& clock, const std::string& where) {
    return guard(Code::kDatabase, [&]() -> Status {
        if (version_of(database) > newest_version()) return check_version(database, where);
        int version = 0;
        for (const EmbeddedFile& file : scopenode_migrations_files()) {
            ++version;
            if (version <= version_of(database)) {
                SCOPENODE_TRY(check_applied(database, version, file.bytes, where));
            } else {
                apply(database, version, file, clock.now());
            }
        }
        return {};
    });
}

}  // namespace scopenode::storage
