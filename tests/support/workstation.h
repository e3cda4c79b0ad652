#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace scopenode::test {

/// What a radiologist does to a report at a workstation that keeps reports by DCMTK's DSRDocument: like many
/// real ones it drops every attribute that it does not manage.
struct Reading {
    std::map<std::size_t, std::string> presence;  ///< label -> SNOMED CT code of the new presence
    std::set<std::size_t> removed;                ///< labels whose groups are taken out
    std::string comment;                          ///< beside the presence of `comment_at`
    std::size_t comment_at = 0;
    std::string observer, organization;  ///< person observer in the content tree
    bool complete = true;
    std::string verifier, verifying_organization, verified_at;
    std::string verifier_code;       ///< of the scheme 99HOSPITAL
    bool keep_predecessors = false;  ///< names the whole chain, not only the version before
    bool forget_predecessors = false;
};
inline constexpr const char* kPresent = "52101004";
inline constexpr const char* kAbsent = "272519000";
inline constexpr const char* kUndetermined = "373068000";

/// Writes the revised version of `report`; its SOP Instance UID. Throws when DCMTK refuses.
std::string read_at_workstation(const std::filesystem::path& report, const std::filesystem::path& out,
                                const Reading& reading);
/// SOP class and instance of a DICOM file.
std::pair<std::string, std::string> sop_of(const std::filesystem::path& file);

}  // namespace scopenode::test
