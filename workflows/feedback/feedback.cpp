#include "workflows/feedback/feedback.h"

#include <algorithm>
#include <tuple>

#include "base/log.h"
#include "storage/dicom/header.h"
#include "workflows/feedback/key_marks.h"
#include "workflows/feedback/known_results.h"
#include "workflows/reasons.h"
#include "workflows/results/report_parts.h"
#include "workflows/training/labels.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using Json = nlohmann::ordered_json;

constexpr std::string_view kCtFamily = "1.2.840.10008.5.1.4.1.1.2";
constexpr std::string_view kReportFamily = "1.2.840.10008.5.1.4.1.1.88.";
constexpr std::string_view kKeyObjects = "1.2.840.10008.5.1.4.1.1.88.59";

std::string dumped(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Remark remark_of(const Arrival& arrival, std::string_view kind, std::string text) {
    return {arrival.instance.received, std::string(kind), arrival.instance.sop_instance_uid, std::move(text)};
}

/// Answers us, or says so: anybody's report with a predecessor counts only when a person speaks of our
/// findings.
bool claims_us(const AmendedReport& report) {
    if (report.has_our_marks()) return true;
    const bool speaks = std::any_of(report.findings.begin(), report.findings.end(),
                                    [](const auto& one) { return one.presence.has_value(); });
    return speaks && !report.predecessors.empty() && report.names_a_person();
}

std::vector<FeedbackRow::Finding> findings_of(const AmendedReport& report, const KnownResult* result) {
    std::vector<FeedbackRow::Finding> all;
    for (std::size_t i = 0; i < ml::kLabelCount; ++i) {
        const auto& said = report.findings[i].presence;
        FeedbackRow::Finding one{std::string(ml::kLabels.at(i)),
                                 said ? std::string(word(*said)) : "not reported", "", ""};
        if (result && result->findings[i]) {
            one.was = word(*result->findings[i]);
            one.answer = !said ? "not reported" : *said == *result->findings[i] ? "confirmed" : "changed";
        }
        all.push_back(std::move(one));
    }
    return all;
}

std::string kind_of(const std::vector<FeedbackRow::Finding>& findings) {
    const auto any = [&](std::string_view answer) {
        return std::any_of(findings.begin(), findings.end(),
                           [&](const auto& one) { return one.answer == answer; });
    };
    return any("changed") ? "correction" : any("confirmed") ? "confirmation" : "";
}

std::optional<UtcMs> read_at(const AmendedReport& report) {
    std::optional<UtcMs> latest;
    for (const auto* one : report.verifiers())
        if (one->time.utc && (!latest || *latest < *one->time.utc)) latest = one->time.utc;
    return latest ? latest : report.content_time.utc;
}

Json comments_json(const std::vector<AmendedReport::Text>& comments) {
    Json all = Json::array();
    for (const auto& one : comments)
        all.push_back({{"finding", one.finding},
                       {"name", one.name.meaning},
                       {"code", one.name.code},
                       {"scheme", one.name.scheme},
                       {"text", one.text}});
    return all;
}

std::string lower(const std::string& text) {
    std::string out;
    for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    while (!out.empty() && (out.back() == '^' || out.back() == ' ')) out.pop_back();
    return out;
}

bool same_reader(const FeedbackRow& a, const FeedbackRow& b) {
    if (a.reader.empty() || lower(a.reader) != lower(b.reader)) return false;
    return a.organization.empty() || b.organization.empty() || lower(a.organization) == lower(b.organization);
}

/// A draft does not take the place of what has been verified.
bool replaces(const FeedbackRow& newer, const FeedbackRow& older) {
    return newer.instance_id != older.instance_id && same_reader(newer, older) &&
           (newer.state == "complete" || older.state != "complete");
}

/// Versions of one reader, in whichever order they arrived.
Status supersede(Connection& db, const FeedbackRow& row) {
    for (const std::string& uid : row.predecessors) {
        SCOPENODE_ASSIGN(const auto before, feedback_of_sop(db, uid));
        for (const FeedbackRow& older : before)
            if (replaces(row, older)) SCOPENODE_TRY(supersede_feedback(db, older.id, row.sop_instance_uid));
    }
    SCOPENODE_ASSIGN(const auto after, feedback_after(db, row.sop_instance_uid));
    SCOPENODE_ASSIGN(const auto self, feedback_of_sop(db, row.sop_instance_uid));
    for (const FeedbackRow& newer : after)
        for (const FeedbackRow& one : self)
            if (one.instance_id == row.instance_id && replaces(newer, one))
                SCOPENODE_TRY(supersede_feedback(db, one.id, newer.sop_instance_uid));
    return {};
}

std::string in_words(const FeedbackRow& row) {
    std::string text = "report of " + (row.reader.empty() ? "nobody named" : row.reader);
    if (row.state == "unmatched") return text + ": " + row.reason;
    text += fmt::format(" answers revision {}", row.result_revision);
    for (const auto& one : row.findings)
        if (one.answer == "changed") text += fmt::format(", {}: {} -> {}", one.label, one.was, one.presence);
    if (row.kind == "confirmation") text += ", nothing changed";
    return text + (row.state == "complete" ? "" : "; pending: " + row.reason);
}

}  // namespace

bool may_be_slice(std::string_view sop_class_uid) {
    return sop_class_uid == kCtFamily || sop_class_uid.starts_with(std::string(kCtFamily) + ".");
}

bool is_report(std::string_view sop_class_uid) {
    return sop_class_uid.starts_with(kReportFamily) && sop_class_uid != kKeyObjects;
}

Feedback::Feedback(const config::Settings& settings, Index& index, const Archive& archive, const Clock& clock)
    : settings_(settings), index_(index), archive_(archive), clock_(clock) {}

Result<Feedback::Arrivals> Feedback::read(const std::vector<EventRow>& events) {
    Arrivals arrivals;
    SCOPENODE_ASSIGN(const auto all, index_.read([&](Connection& db) -> Result<std::vector<Arrival>> {
        std::vector<Arrival> rows;
        for (const EventRow& event : events) {
            SCOPENODE_ASSIGN(auto came, arrival(db, event.instance_id));
            if (came) rows.push_back(std::move(*came));
        }
        return rows;
    }));
    for (const Arrival& came : all) {
        if (!came.own_series && may_be_slice(came.instance.sop_class_uid)) {
            arrivals.studies_with_slices.insert(came.instance.study_id);
            continue;
        }
        SCOPENODE_ASSIGN(auto found, look_at(came));
        if (found.record || found.remark) arrivals.found.push_back(std::move(found));
    }
    return arrivals;
}

Result<Feedback::Found> Feedback::look_at(const Arrival& came) {
    if (is_report(came.instance.sop_class_uid)) return look_at_report(came);
    Found found{came.instance.study_id, {}, {}, {}, false};
    // Pictures, key objects and presentation states of ours, whatever UIDs a PACS has given them.
    const auto header = came.own_series ? Result<InstanceHeader>(InstanceHeader{})
                                        : read_header(archive_.absolute(came.instance.path));
    if (came.own_series || (header && header->manufacturer == kManufacturer))
        found.remark =
            remark_of(came, reasons::kOwnResult, "own result came back under another SOP Instance UID");
    else if (header && came.instance.sop_class_uid == kKeyObjects)
        look_at_marks(came, found);
    return found;
}

/// Somebody's key objects are hints where to look, never labels.
void Feedback::look_at_marks(const Arrival& came, Found& found) const {
    const auto images = marked_images(archive_.absolute(came.instance.path));
    if (images.empty()) return;
    for (const std::string& uid : images)
        found.marks.push_back({uid, came.study_uid, came.instance.sop_instance_uid, came.instance.calling_ae,
                               came.instance.received});
    found.remark = remark_of(came, "key objects",
                             fmt::format("key objects from {} mark {} images: a hint, no label",
                                         came.instance.calling_ae, images.size()));
}

Result<Feedback::Found> Feedback::look_at_report(const Arrival& came) {
    Found found{came.instance.study_id, {}, {}, {}, false};
    const auto report = read_amended_report(archive_.absolute(came.instance.path), settings_.site.time_zone);
    if (!report) {
        SCOPENODE_ASSIGN(found.remark, not_understood(came, report.error()));
        return found;
    }
    SCOPENODE_ASSIGN(const Candidates candidates,
                     index_.read([&](Connection& db) { return candidates_for(db, *report); }));
    const auto answers = answered_result(*report, candidates.results, candidates.earlier);
    const KnownResult* result = answers ? &candidates.results[answers->result] : nullptr;
    if (is_own_copy(*report, came.own_series, result)) {
        found.remark = remark_of(came, reasons::kOwnResult,
                                 came.instance.conflict
                                     ? "own result came back with another body: kept beside, nobody's answer"
                                     : "own result came back under another SOP Instance UID");
        return found;
    }
    if (!result && !claims_us(*report)) return found;
    SCOPENODE_ASSIGN(found.record, record_of(came, *report, result, answers ? answers->by : ""));
    found.record->newest_result = candidates.newest_result;
    if (result) found.record->result_revision = candidates.revisions[answers->result];
    return found;
}

Result<std::optional<Remark>> Feedback::not_understood(const Arrival& came, const Error& error) {
    const HeaderClaims claims = header_claims(archive_.absolute(came.instance.path));
    bool answers_us = claims.has_our_marks || came.own_series;
    for (const std::string& uid : claims.predecessors) {
        SCOPENODE_ASSIGN(const auto result,
                         index_.read([&](Connection& db) { return result_of_sop(db, uid); }));
        answers_us |= result.has_value();
    }
    log::warning("feedback", "report {} cannot be read: {}", came.instance.sop_instance_uid, error.message);
    if (!answers_us) return std::optional<Remark>();
    return std::optional<Remark>(
        remark_of(came, reasons::kReportNotUnderstood,
                  std::string(sentence(reasons::kReportNotUnderstood)) + " " + error.message));
}

Result<FeedbackRow> Feedback::record_of(const Arrival& came, const AmendedReport& report,
                                        const KnownResult* result, const std::string& by) {
    FeedbackRow row;
    row.instance_id = came.instance.id;
    row.study_id = came.instance.study_id;
    row.study_uid = report.study_uid;
    row.sop_instance_uid = report.sop_instance_uid;
    row.series_uid = report.series_uid;
    std::tie(row.reader, row.organization) = report.reader();
    row.read_at = read_at(report);
    row.findings = findings_of(report, result);
    for (const auto& one : report.predecessors) row.predecessors.push_back(one.sop_instance_uid);
    std::optional<AmendedReport> ours;
    if (result) {
        const Standing standing = standing_of(report, *result);
        row.state = standing.state;
        row.reason = standing.reason;
        row.kind = kind_of(row.findings);
        row.result_id = result->id;
        row.result_sop_instance_uid = result->sop_instance_uid;
        row.answered_by = by;
        // Whatever leads to a result was copied from its report.
        row.saw_result = true;
        SCOPENODE_ASSIGN(ours, own_report(*result));
    } else {
        row.state = "unmatched";
        row.reason = "no result of this node is known that it answers";
    }
    row.comments = dumped(comments_json(comments_of(report, ours ? &*ours : nullptr)));
    row.document = dumped(to_json(report));
    return row;
}

Result<std::optional<AmendedReport>> Feedback::own_report(const KnownResult& result) {
    SCOPENODE_ASSIGN(const auto row,
                     index_.read([&](Connection& db) { return find_instance(db, result.sop_instance_uid); }));
    if (!row) return std::optional<AmendedReport>();
    auto report = read_amended_report(archive_.absolute(row->path), settings_.site.time_zone);
    if (!report) return std::optional<AmendedReport>();
    return std::optional<AmendedReport>(std::move(*report));
}

Status Feedback::write(Connection& db, const Arrivals& arrivals) {
    for (const Found& found : arrivals.found) {
        if (found.remark) SCOPENODE_TRY(add_remark_once(db, found.study_id, *found.remark));
        for (const KeyMark& mark : found.marks) SCOPENODE_TRY(put_key_mark(db, mark));
        if (!found.record) continue;
        SCOPENODE_ASSIGN(const bool is_new, put_feedback(db, *found.record, found.again));
        if (!is_new) continue;
        SCOPENODE_TRY(supersede(db, *found.record));
        SCOPENODE_TRY(label_by_report(db, found.record->sop_instance_uid, clock_.now()));
        SCOPENODE_TRY(add_remark_once(
            db, found.study_id,
            {clock_.now(), "feedback", found.record->sop_instance_uid, in_words(*found.record)}));
    }
    return {};
}

Result<bool> Feedback::match() {
    SCOPENODE_ASSIGN(auto ids, index_.read([](Connection& db) { return feedback_to_match(db); }));
    std::erase_if(ids, [&](std::int64_t id) { return given_up_.count(id) > 0; });
    if (ids.empty()) return false;
    Arrivals arrivals;
    bool matched = false;
    for (const std::int64_t id : ids) {
        SCOPENODE_ASSIGN(const auto came, index_.read([&](Connection& db) { return arrival(db, id); }));
        if (!came) continue;
        SCOPENODE_ASSIGN(auto found, look_at_report(*came));
        found.again = true;
        if (!found.record) given_up_.insert(id);
        matched |= found.record && found.record->state != "unmatched";
        arrivals.found.push_back(std::move(found));
    }
    SCOPENODE_TRY(index_.write([&](Connection& db) { return write(db, arrivals); }));
    return matched;
}

}  // namespace scopenode::workflows
