#include <algorithm>
#include <charconv>

#include "config/settings.h"

namespace scopenode::config {
namespace {

bool is_name(const std::string& text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
}

Result<Destination> parse(const std::string& text, const std::string& whole, const char* form) {
    const auto at = text.find('@');
    const auto colon = text.rfind(':');
    if (at == std::string::npos || colon == std::string::npos || colon < at)
        return fail(Code::kInvalidArgument, "'{}' is not of the form {}", whole, form);
    Destination peer;
    peer.ae_title = text.substr(0, at);
    peer.host = text.substr(at + 1, colon - at - 1);
    if (peer.host.size() > 2 && peer.host.front() == '[' && peer.host.back() == ']')
        peer.host = peer.host.substr(1, peer.host.size() - 2);
    const std::string port = text.substr(colon + 1);
    const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), peer.port);
    if (fault != std::errc() || end != port.data() + port.size() || peer.port < 1 || peer.port > 65535)
        return fail(Code::kInvalidArgument, "'{}': the port must be a number of 1 to 65535", whole);
    if (!is_legal_ae_title(peer.ae_title))
        return fail(Code::kInvalidArgument,
                    "'{}': '{}' is not an AE title (1-16 printable characters, no backslash)", whole,
                    peer.ae_title);
    if (peer.host.empty() || peer.host.find_first_of(" \t/@") != std::string::npos)
        return fail(Code::kInvalidArgument, "'{}': '{}' is not a host", whole, peer.host);
    peer.name = peer.ae_title;
    return peer;
}

}  // namespace

bool is_legal_ae_title(const std::string& title) {
    return !title.empty() && title.size() <= 16 && title.find_first_not_of(' ') != std::string::npos &&
           std::all_of(title.begin(), title.end(), [](char c) { return c >= 0x20 && c < 0x7F && c != '\\'; });
}

Result<Destination> parse_peer(const std::string& text) {
    return parse(text, text, "AET@HOST:PORT");
}

Result<Destination> parse_destination(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos)
        return fail(Code::kInvalidArgument, "'{}' is not of the form NAME=AET@HOST:PORT", text);
    const std::string name = text.substr(0, equals);
    if (!is_name(name))
        return fail(Code::kInvalidArgument, "'{}': a destination's name is 1-64 letters, digits and . _ -",
                    text);
    SCOPENODE_ASSIGN(auto peer, parse(text.substr(equals + 1), text, "NAME=AET@HOST:PORT"));
    peer.name = name;
    return peer;
}

}  // namespace scopenode::config
