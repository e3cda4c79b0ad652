#pragma once
#include <string>
#include <string_view>

namespace scopenode::workflows {

/// Text for between tags and for attributes: nothing in it is markup any more, what is no UTF-8 or no
/// character of XML becomes U+FFFD.
std::string escaped(std::string_view text);

/// A number with its place in the JSON: <span data-key="/sets/...">0.912</span>; a dash where there is none.
std::string keyed(const std::string& pointer, double value, int digits = 3);
std::string keyed(const std::string& pointer, long value);
/// With its sign; a real minus; a dash where there is no number.
std::string signed_text(double value, int digits = 3);
std::string plain_text(double value, int digits = 3);

}  // namespace scopenode::workflows
