#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/ofstd/ofstd.h>

#include <string>

namespace scopenode::dicom_node {

/// A UID of a command without the padding that some senders leave in.
inline std::string uid_text(const char* text) {
    std::string uid(text);
    while (!uid.empty() && (uid.back() == ' ' || uid.back() == '\0')) uid.pop_back();
    return uid;
}

/// For (0000,0902), which is LO: at most 64 printable ASCII characters without backslash.
inline std::string comment_text(const std::string& message) {
    std::string text = message.substr(0, 64);
    for (char& c : text)
        if (c < ' ' || c > '~' || c == '\\') c = '?';
    return text;
}

/// Into the field of one of DCMTK's messages.
template <std::size_t N>
void copy_text(char (&to)[N], const std::string& from) {
    OFStandard::strlcpy(to, from.c_str(), N);
}

}  // namespace scopenode::dicom_node
