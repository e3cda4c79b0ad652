#include "base/core/result.h"

#include <array>
#include <exception>

namespace scopenode {

const CodeInfo& info(Code code) {
    static const std::array kTable{
#define SCOPENODE_ERROR(code, word, http, dimse, retryable) \
    CodeInfo{Code::code, #code, word, http, dimse, retryable},
#include "base/core/errors.def"
#undef SCOPENODE_ERROR
    };
    return kTable.at(static_cast<std::size_t>(code));
}

Error error_of_current_exception(Code code) {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        return {Code::kOutOfResources, "out of memory"};
    } catch (const std::exception& e) {
        return {code, e.what()};
    } catch (...) {
        return {code, "unknown exception"};
    }
}

}  // namespace scopenode
