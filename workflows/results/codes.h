#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "ml/labels.h"

namespace scopenode::workflows {

/// A DICOM coded entry.
struct CodedEntry {
    std::string code, scheme, meaning;
    bool is(const std::string& other_code, const std::string& other_scheme) const {
        return code == other_code && scheme == other_scheme;
    }
};

/// config/codes.json. Rows whose status is neither "verified" nor "private" are never sent: their `instead`
/// is. Built once, thread-safe afterwards.
class CodeTable {
  public:
    /// The table built into the program; throws nothing: a fault in it is the error of every later call to
    /// check().
    static const CodeTable& embedded();
    static Result<CodeTable> parse(std::string_view json);

    struct Finding {
        CodedEntry sent, site;
        /// What a reader takes for this finding; one with a site only together with it.
        struct Known {
            CodedEntry code;
            std::string site_code;
        };
        std::vector<Known> known;
    };
    const Finding& finding(std::size_t label) const { return findings_.at(label); }
    /// Label of a finding code and its site as read from a report; -1 when it is none of ours.
    int label_of(const CodedEntry& code, const std::string& site_code) const;

    /// The entry to write for a concept of the table ("probability"). Asking for an unknown name is a
    /// programming error and throws std::out_of_range.
    const CodedEntry& concept_of(std::string_view name) const;
    /// The concept itself or one of its synonyms.
    bool means(std::string_view name, const CodedEntry& entry) const;

    const std::string& private_designator() const { return designator_; }
    const std::string& private_uid() const { return uid_; }
    const std::string& private_name() const { return name_; }

  private:
    struct Concept {
        std::string name;
        CodedEntry sent;
        std::vector<CodedEntry> synonyms;
    };
    const Concept& row(std::string_view name) const;

    std::string designator_, uid_, name_;
    std::vector<Finding> findings_;
    std::vector<Concept> concepts_;
    friend struct CodeTableReader;
};

}  // namespace scopenode::workflows
