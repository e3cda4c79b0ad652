#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include <fmt/format.h>

namespace scopenode {

/// What went wrong, as one of a closed list (base/core/errors.def).
enum class Code {
#define SCOPENODE_ERROR(code, word, http, dimse, retryable) code,
#include "base/core/errors.def"
#undef SCOPENODE_ERROR
};

/// The fixed properties of a code.
struct CodeInfo {
    Code code;
    std::string_view name;   ///< "kNotFound"
    std::string_view word;   ///< "not found"
    int http_status;
    std::uint16_t dimse_status;
    bool retryable;          ///< may succeed later without anybody's doing
};
const CodeInfo& info(Code code);

/// An error: a code and one sentence for the person who has to act on it.
struct Error {
    Code code = Code::kInternal;
    std::string message;

    bool retryable() const { return info(code).retryable; }
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// fail(Code::kNotFound, "no study {}", uid)
template <class... Args>
tl::unexpected<Error> fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
    return tl::unexpected<Error>(Error{code, fmt::format(text, std::forward<Args>(args)...)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

/// Runs `body` and turns whatever it throws into an Error with `code`; `body` may return T or Result<T>.
Error error_of_current_exception(Code code);
template <class F>
auto guard(Code code, F&& body) {
    using R = std::invoke_result_t<F>;
    if constexpr (std::is_void_v<R>) {
        try {
            body();
            return Status{};
        } catch (...) {
            return Status{fail(error_of_current_exception(code))};
        }
    } else if constexpr (requires(R r) { r.error(); r.has_value(); }) {
        try {
            return body();
        } catch (...) {
            return R{fail(error_of_current_exception(code))};
        }
    } else {
        try {
            return Result<R>{body()};
        } catch (...) {
            return Result<R>{fail(error_of_current_exception(code))};
        }
    }
}

}  // namespace scopenode

#define SCOPENODE_JOIN2(a, b) a##b
#define SCOPENODE_JOIN(a, b) SCOPENODE_JOIN2(a, b)

#define SCOPENODE_TRY2(holder, expression)                                                     \
    do {                                                                                       \
        if (auto holder = (expression); !holder)                                               \
            return tl::unexpected<::scopenode::Error>(std::move(holder).error());              \
    } while (false)
/// Returns the error of a Status or Result from the calling function. __COUNTER__: a lambda inside may try too.
#define SCOPENODE_TRY(expression) SCOPENODE_TRY2(SCOPENODE_JOIN(scopenode_status_, __COUNTER__), expression)

#define SCOPENODE_ASSIGN2(holder, declaration, expression)                                  \
    auto holder = (expression);                                                             \
    if (!holder) return tl::unexpected<::scopenode::Error>(std::move(holder).error());      \
    declaration = std::move(*holder)
/// SCOPENODE_ASSIGN(auto value, function_that_returns_result());
#define SCOPENODE_ASSIGN(declaration, expression) \
    SCOPENODE_ASSIGN2(SCOPENODE_JOIN(scopenode_result_, __COUNTER__), declaration, expression)
