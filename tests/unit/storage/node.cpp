#include "tests/unit/storage/node.h"

#include <SQLiteCpp/SQLiteCpp.h>

namespace scopenode::test {

Result<std::int64_t> Node::count_on(storage::Connection& db, const char* sql) {
    SQLite::Statement& statement = db.prepare(sql);
    statement.executeStep();
    return statement.getColumn(0).getInt64();
}

}  // namespace scopenode::test
