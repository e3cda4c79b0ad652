#pragma once
#include "base/core/clock.h"
#include "base/core/result.h"

namespace SQLite {
class Database;
}

namespace scopenode::storage {

/// Brings the database to the newest version: each file of storage/migrations in a transaction of its own,
/// its checksum kept and compared. kNewerDatabase when the database is ahead of this program.
Status migrate(SQLite::Database& database, const Clock& clock, const std::string& where);
/// The version that this program writes.
int newest_version();
/// kNewerDatabase / kDatabase unless the database has exactly this program's version.
Status check_version(SQLite::Database& database, const std::string& where);

}  // namespace scopenode::storage
