#pragma once
#include <fmt/format.h>

#include <string>

namespace scopenode::log {

/// One line on stderr: UTC time, level, room, sentence. UIDs may appear, names and patient IDs never. Thread-safe.
enum class Level { kDebug, kInfo, kWarning, kError };
void set_level(Level level);
void write(Level level, const char* room, const std::string& text);

template <class... Args>
void debug(const char* room, fmt::format_string<Args...> text, Args&&... args) {
    write(Level::kDebug, room, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(const char* room, fmt::format_string<Args...> text, Args&&... args) {
    write(Level::kInfo, room, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warning(const char* room, fmt::format_string<Args...> text, Args&&... args) {
    write(Level::kWarning, room, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(const char* room, fmt::format_string<Args...> text, Args&&... args) {
    write(Level::kError, room, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace scopenode::log
