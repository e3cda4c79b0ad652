#include "workflows/acquisition.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace scopenode::workflows {
namespace {

constexpr int kSharpNumber = 55;

std::string upper(const std::string& text) {
    std::string out;
    for (const char c : text) out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

bool is_among(const std::string& word, std::initializer_list<const char*> list) {
    return std::any_of(list.begin(), list.end(), [&](const char* one) { return word == one; });
}

/// The number behind the letters a name begins with; 0 when it is not of that form.
int number_in(const std::string& name, std::size_t most_letters) {
    std::size_t letters = 0;
    while (letters < name.size() && std::isalpha(static_cast<unsigned char>(name[letters]))) ++letters;
    if (letters == 0 || letters > most_letters || letters == name.size()) return 0;
    return std::atoi(name.c_str() + letters);
}

}  // namespace

bool has_sharp_kernel(const storage::InstanceHeader& header) {
    // Newer scanners write a second value that is not the kernel.
    const std::string name = upper(header.convolution_kernel.substr(0, header.convolution_kernel.find('\\')));
    if (name.empty()) return false;
    for (const char* word : {"BONE", "LUNG", "EDGE", "ULTRA", "SHARP"})
        if (name.find(word) != std::string::npos) return true;
    if (name.starts_with("FC")) {
        const int tens = number_in(name, 2) / 10;
        return tens == 3 || tens == 5 || tens == 8;
    }
    const std::string maker = upper(header.manufacturer);
    if (maker.find("PHILIPS") != std::string::npos)
        return is_among(name, {"D", "E", "F", "L", "YC", "YD", "YE"});
    // A number of another maker may mean anything.
    return maker.find("SIEMENS") != std::string::npos && number_in(name, 2) >= kSharpNumber;
}

bool has_contrast_agent(const storage::InstanceHeader& header) {
    const std::string agent = upper(header.contrast_agent);
    return !agent.empty() && !is_among(agent, {"NONE", "NO", "N", "NO CONTRAST", "WITHOUT", "W/O", "NATIVE",
                                               "NIL", "N/A", "NA", "0", "OHNE", "-"});
}

}  // namespace scopenode::workflows
