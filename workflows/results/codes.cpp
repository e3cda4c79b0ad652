#include "workflows/results/codes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/core/ids.h"
#include "scopenode_config_data.h"
#include "workflows/results/report.h"

namespace scopenode::workflows {
namespace {

using Json = nlohmann::json;

bool may_be_sent(const Json& row) {
    const std::string status = row.at("status");
    if (status != "verified" && status != "private" && status != "unverified")
        throw std::runtime_error("status " + status + " is none of verified, private, unverified");
    return status != "unverified";
}

bool fits(const std::string& text, std::size_t most) {
    return !text.empty() && text.size() <= most && text.find('\\') == std::string::npos;
}

/// Reads one code and holds it to the lengths of SH and LO and to the rule that private codes stay in their
/// scheme.
CodedEntry entry(const Json& row, const std::string& designator) {
    CodedEntry e{row.at("code"), row.at("scheme"), row.at("meaning")};
    if (!fits(e.code, 16) || !fits(e.scheme, 16) || !fits(e.meaning, 64))
        throw std::runtime_error("code " + e.code + ": empty or too long");
    if ((e.scheme == designator) != (row.at("status") == "private"))
        throw std::runtime_error("code " + e.code +
                                 ": private codes, and only they, have the private scheme");
    return e;
}

/// The row itself when it may be sent, else its `instead`.
const Json& sendable(const Json& row) {
    if (may_be_sent(row)) return row;
    if (!row.contains("instead") || !may_be_sent(row.at("instead")))
        throw std::runtime_error("code " + row.at("code").get<std::string>() +
                                 ": not verified, and nothing to send instead");
    return row.at("instead");
}

}  // namespace

struct CodeTableReader {
    CodeTable table;

    void read(const Json& json) {
        const Json& scheme = json.at("private_scheme");
        table.designator_ = scheme.at("designator");
        table.uid_ = scheme.at("uid");
        table.name_ = scheme.at("name");
        if (!is_legal_uid(table.uid_)) throw std::runtime_error("UID of the private scheme is not legal");
        if (json.at("findings").size() != ml::kLabelCount) throw std::runtime_error("not six findings");
        for (const auto label : ml::kLabels) finding(json.at("findings").at(std::string(label)));
        for (const auto& [name, row] : json.at("concepts").items()) concept_row(name, row);
        no_finding_twice();
    }

  private:
    void finding(const Json& row) {
        CodeTable::Finding found;
        const Json& sent = sendable(row);
        found.sent = entry(sent, table.designator_);
        if (!may_be_sent(sent.at("site"))) throw std::runtime_error("a finding site that is not verified");
        found.site = entry(sent.at("site"), table.designator_);
        found.known.push_back(known(row));
        if (row.contains("instead")) found.known.push_back(known(row.at("instead")));
        for (const Json& synonym : row.at("synonyms")) found.known.push_back(known(synonym));
        table.findings_.push_back(std::move(found));
    }

    CodeTable::Finding::Known known(const Json& row) const {
        const bool with_site = row.value("needs_site", false);
        return {entry(row, table.designator_), with_site ? row.at("site").at("code").get<std::string>() : ""};
    }

    void concept_row(const std::string& name, const Json& row) {
        CodeTable::Concept made{name, entry(sendable(row), table.designator_), {}};
        if (row.contains("synonyms"))
            for (const Json& synonym : row.at("synonyms"))
                made.synonyms.push_back(entry(synonym, table.designator_));
        table.concepts_.push_back(std::move(made));
    }

    void no_finding_twice() const {
        std::vector<std::string> seen;
        for (const auto& finding : table.findings_)
            for (const auto& known : finding.known)
                seen.push_back(known.code.scheme + " " + known.code.code + " " + known.site_code);
        std::sort(seen.begin(), seen.end());
        const auto twice = std::adjacent_find(seen.begin(), seen.end());
        if (twice != seen.end()) throw std::runtime_error("code " + *twice + " stands for two findings");
    }
};

Result<CodeTable> CodeTable::parse(std::string_view json) {
    auto table = guard(Code::kInternal, [&] {
        CodeTableReader reader;
        reader.read(Json::parse(json));
        return std::move(reader.table);
    });
    if (!table) return fail(Code::kInternal, "codes.json: {}", table.error().message);
    return table;
}

namespace {
const Result<CodeTable>& built_in() {
    static const Result<CodeTable> table = [] {
        for (const EmbeddedFile& file : config::scopenode_config_data_files())
            if (file.path == "config/codes.json") return CodeTable::parse(file.bytes);
        return Result<CodeTable>(fail(Code::kInternal, "config/codes.json is not built in"));
    }();
    return table;
}
}  // namespace

const CodeTable& CodeTable::embedded() {
    static const CodeTable empty;
    return built_in() ? *built_in() : empty;
}

Status check_codes() {
    if (!built_in()) return fail(built_in().error());
    return {};
}

int CodeTable::label_of(const CodedEntry& code, const std::string& site_code) const {
    for (std::size_t i = 0; i < findings_.size(); ++i)
        for (const auto& known : findings_[i].known)
            if (known.code.is(code.code, code.scheme) &&
                (known.site_code.empty() || known.site_code == site_code))
                return static_cast<int>(i);
    return -1;
}

const CodeTable::Concept& CodeTable::row(std::string_view name) const {
    for (const auto& concept_row : concepts_)
        if (concept_row.name == name) return concept_row;
    throw std::out_of_range("codes.json lacks the concept " + std::string(name));
}

const CodedEntry& CodeTable::concept_of(std::string_view name) const {
    return row(name).sent;
}

bool CodeTable::means(std::string_view name, const CodedEntry& entry) const {
    const Concept& wanted = row(name);
    return wanted.sent.is(entry.code, entry.scheme) ||
           std::any_of(wanted.synonyms.begin(), wanted.synonyms.end(),
                       [&](const CodedEntry& synonym) { return synonym.is(entry.code, entry.scheme); });
}

}  // namespace scopenode::workflows
