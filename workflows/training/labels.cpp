#include "workflows/training/labels.h"

#include <algorithm>

#include "base/core/ids.h"
#include "storage/index/audit.h"
#include "storage/index/catalog.h"
#include "storage/index/feedback.h"
#include "storage/index/results.h"
#include "workflows/training/label_file.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

Status label_by(Connection& db, const FeedbackRow& report, const std::string& study_uid, UtcMs now) {
    for (const auto& finding : report.findings) {
        LabelRow row;
        row.study_uid = study_uid;
        row.finding = finding.label;
        row.value = finding.presence == "present";
        row.source = "report";
        row.origin = report.sop_instance_uid;
        row.reader = report.reader;
        row.caller = report.calling_ae;
        row.read_at = report.read_at;
        row.result = report.result_sop_instance_uid;
        row.saw_result = report.saw_result;
        row.added = now;
        if (finding.presence == "present" || finding.presence == "absent") {
            SCOPENODE_ASSIGN([[maybe_unused]] const auto change, put_label(db, row));
        } else {
            SCOPENODE_TRY(withdraw_label(db, row));
        }
    }
    return {};
}

/// What `labels add` was told.
struct Told {
    LabelRow row;
    std::vector<std::pair<std::string, std::string>> findings;
};

Result<Told> parse_words(std::span<const std::string> words) {
    Told told;
    told.row.source = "command";
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto equals = word.find('=');
        if (word == "--slice" && i + 1 < words.size()) {
            told.row.sop_instance_uid = words[++i];
        } else if (word == "--reader" && i + 1 < words.size()) {
            told.row.reader = words[++i];
        } else if (word == "--adjudicate") {
            told.row.source = "adjudication";
        } else if (equals != std::string::npos) {
            told.findings.emplace_back(word.substr(0, equals), word.substr(equals + 1));
        } else if (told.row.study_uid.empty() && !word.starts_with("--")) {
            told.row.study_uid = word;
        } else {
            return fail(Code::kInvalidArgument, "labels add does not know '{}'", word);
        }
    }
    if (!is_legal_uid(told.row.study_uid))
        return fail(Code::kInvalidArgument, "'{}' is not a Study Instance UID", told.row.study_uid);
    if (told.row.reader.empty())
        return fail(Code::kInvalidArgument, "labels add needs --reader: who says so?");
    if (told.findings.empty())
        return fail(Code::kInvalidArgument, "labels add needs FINDING=present, =absent or =unknown");
    for (const auto& [finding, value] : told.findings) {
        if (std::find(ml::kLabels.begin(), ml::kLabels.end(), finding) == ml::kLabels.end())
            return fail(Code::kInvalidArgument, "'{}' is not a finding: {}", finding,
                        fmt::join(ml::kLabels, ", "));
        if (value != "present" && value != "absent" && value != "unknown")
            return fail(Code::kInvalidArgument, "{} is present, absent or unknown, not '{}'", finding, value);
        if (value == "unknown" && told.row.source == "adjudication")
            return fail(Code::kInvalidArgument,
                        "unknown takes a reader's own word back and decides nothing: leave --adjudicate out");
        const auto named = std::count_if(told.findings.begin(), told.findings.end(),
                                         [&](const auto& one) { return one.first == finding; });
        if (named > 1) return fail(Code::kInvalidArgument, "{} is named twice", finding);
        for (const auto& [other, said] : told.findings)
            if (finding == "any" && value == "absent" && said == "present")
                return fail(Code::kInvalidArgument, "any=absent and {}=present contradict each other", other);
    }
    return told;
}

}  // namespace

Status label_by_report(Connection& db, const std::string& uid, UtcMs now) {
    SCOPENODE_ASSIGN(const auto reports, feedback_of_sop(db, uid));
    for (const FeedbackRow& report : reports) {
        if (report.state != "complete" || !report.superseded_by.empty()) continue;
        SCOPENODE_ASSIGN(const auto result, result_of_sop(db, report.result_sop_instance_uid));
        if (!result) continue;
        SCOPENODE_ASSIGN(const auto study, study_by_id(db, result->study_id));
        if (!study) continue;
        SCOPENODE_TRY(label_by(db, report, study->study_uid, now));
        SCOPENODE_TRY(
            add_audit(db, now, report.reader, "labels added", study->study_uid, "verified report " + uid));
    }
    return {};
}

Result<std::string> import_labels(Connection& db, const std::filesystem::path& csv, const std::string& reader,
                                  UtcMs now) {
    SCOPENODE_ASSIGN(const auto file, read_label_file(csv));
    std::int64_t added = 0, same = 0, changed = 0;
    for (const FileLabel& label : file.labels) {
        LabelRow row;
        row.study_uid = label.study_uid;
        row.sop_instance_uid = label.slice;
        row.finding = ml::kLabels[label.finding];
        row.value = label.value;
        row.source = "csv";
        row.origin = file.sha256;
        row.reader = !reader.empty()         ? reader
                     : !label.reader.empty() ? label.reader
                                             : csv.filename().string();
        row.added = now;
        SCOPENODE_ASSIGN(const auto change, put_label(db, row));
        ++(change == LabelChange::kAdded ? added : change == LabelChange::kSame ? same : changed);
    }
    SCOPENODE_TRY(add_audit(db, now, reader.empty() ? "command line" : reader, "labels added",
                            csv.filename().string(),
                            fmt::format("sha256 {}, {} labels", file.sha256, file.labels.size())));
    SCOPENODE_ASSIGN(const auto counts, count_labels(db));
    std::string text = fmt::format("{} labels added, {} known already, {} changed", added, same, changed);
    if (file.duplicates > 0) text += fmt::format("; {} lines stood in the file twice", file.duplicates);
    if (counts.pending > 0)
        text += fmt::format("; {} of the node's labels wait for their study or slice", counts.pending);
    return text;
}

Result<std::string> add_labels(Connection& db, std::span<const std::string> words, UtcMs now) {
    SCOPENODE_ASSIGN(auto told, parse_words(words));
    LabelRow& row = told.row;
    const std::string study_uid = row.study_uid;
    row.added = now;
    row.read_at = now;
    row.origin = "command line";
    if (!row.sop_instance_uid.empty()) row.study_uid.clear();
    std::string said;
    for (const auto& [finding, value] : told.findings) {
        row.finding = finding;
        row.value = value == "present";
        if (value == "unknown") {
            SCOPENODE_TRY(withdraw_label(db, row));
        } else {
            SCOPENODE_ASSIGN([[maybe_unused]] const auto change, put_label(db, row));
        }
        said += fmt::format("{}{} {}", said.empty() ? "" : ", ", finding, value);
    }
    SCOPENODE_TRY(add_audit(db, now, row.reader, "labels added", study_uid, said));
    SCOPENODE_ASSIGN(const auto study, find_study(db, study_uid));
    if (row.sop_instance_uid.empty())
        return fmt::format("study {}: {}, says {}{}", study_uid, said, row.reader,
                           study ? "" : "; the study is not here yet: the labels wait for it");
    SCOPENODE_ASSIGN(const auto slice, find_instance(db, row.sop_instance_uid));
    return fmt::format("slice {} of study {}: {}, says {}{}", row.sop_instance_uid, study_uid, said,
                       row.reader, slice ? "" : "; the slice is not here yet: the labels wait for it");
}

bool may_label(const std::string& caller, const config::Settings::Training& training) {
    const auto& callers = training.label_callers;
    return callers.empty() || std::find(callers.begin(), callers.end(), caller) != callers.end();
}

std::vector<LabelRow> counted_labels(std::vector<LabelRow> labels,
                                     const config::Settings::Training& training) {
    std::erase_if(labels, [&](const LabelRow& row) {
        return row.source == "report" && !may_label(row.caller, training);
    });
    return labels;
}

}  // namespace scopenode::workflows
