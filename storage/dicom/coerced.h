#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace scopenode::storage {

/// How a copy of an object differs from the object.
struct Coercion {
    bool same_body = true;             ///< content tree, observers, references and pixels are as they were
    std::vector<std::string> changed;  ///< attributes in words: "patient name", "private elements"
};
/// Compares two files of one SOP instance, whatever their transfer syntaxes and character sets: archives
/// change names and numbers of patients and studies, and add elements of their own, without making another
/// object of it.
Result<Coercion> compare_copies(const std::filesystem::path& original, const std::filesystem::path& copy);

/// "own result came back (coerced: patient name)"
std::string in_words(const Coercion& coercion);

}  // namespace scopenode::storage
