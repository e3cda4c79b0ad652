#pragma once
#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>

#include "base/core/result.h"
#include "storage/index/database.h"

namespace scopenode::storage::sql {

/// A prepared statement with its values bound in order. Text is copied.
inline void bind_one(SQLite::Statement& s, int i, const std::string& v) {
    s.bind(i, v);
}
inline void bind_one(SQLite::Statement& s, int i, const char* v) {
    s.bind(i, v);
}
inline void bind_one(SQLite::Statement& s, int i, double v) {
    s.bind(i, v);
}
inline void bind_one(SQLite::Statement& s, int i, bool v) {
    s.bind(i, v ? 1 : 0);
}
inline void bind_one(SQLite::Statement& s, int i, int v) {
    s.bind(i, v);
}
inline void bind_one(SQLite::Statement& s, int i, std::int64_t v) {
    s.bind(i, v);
}
inline void bind_one(SQLite::Statement& s, int i, std::uint64_t v) {
    s.bind(i, static_cast<std::int64_t>(v));
}
template <class T>
void bind_one(SQLite::Statement& s, int i, const std::optional<T>& v) {
    if (v)
        bind_one(s, i, *v);
    else
        s.bind(i);
}

template <class... Values>
SQLite::Statement& query(Connection& db, const char* sql, const Values&... values) {
    SQLite::Statement& statement = db.prepare(sql);
    int i = 0;
    (bind_one(statement, ++i, values), ...);
    return statement;
}
template <class... Values>
void execute(Connection& db, const char* sql, const Values&... values) {
    SQLite::Statement& statement = query(db, sql, values...);
    statement.exec();
    statement.tryReset();
}

inline std::string text(SQLite::Statement& s, int column) {
    return s.getColumn(column).getString();
}
inline std::int64_t integer(SQLite::Statement& s, int column) {
    return s.getColumn(column).getInt64();
}
inline std::optional<std::int64_t> maybe(SQLite::Statement& s, int column) {
    if (s.getColumn(column).isNull()) return std::nullopt;
    return s.getColumn(column).getInt64();
}

/// Turns what SQLite throws inside `body` into kDatabase (kOutOfResources when the disk is full).
template <class F>
auto run(F&& body) -> std::invoke_result_t<F> {
    try {
        return body();
    } catch (const SQLite::Exception& e) {
        const bool full = (e.getErrorCode() & 0xFF) == 13;
        return fail(full ? Code::kOutOfResources : Code::kDatabase, "{}", e.what());
    }
}

}  // namespace scopenode::storage::sql
