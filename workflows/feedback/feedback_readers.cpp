#include "workflows/feedback/feedback.h"

namespace scopenode::workflows {
namespace {

using namespace storage;
using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}
Json stored_json(const std::string& text) {
    Json json = Json::parse(text, nullptr, false);
    return json.is_discarded() ? Json() : json;
}

Json entry(const FeedbackRow& row) {
    Json json;
    json["id"] = row.id;
    json["state"] = row.state;
    json["reason"] = text_or_null(row.reason);
    json["kind"] = text_or_null(row.kind);
    json["superseded_by"] = text_or_null(row.superseded_by);
    json["study_uid"] = row.study_uid;
    json["sop_instance_uid"] = row.sop_instance_uid;
    json["series_uid"] = row.series_uid;
    json["calling_ae"] = row.calling_ae;
    json["received"] = iso8601(row.received);
    json["reader"] = text_or_null(row.reader);
    json["organization"] = text_or_null(row.organization);
    json["read_at"] = row.read_at ? Json(iso8601(*row.read_at)) : Json();
    json["answers"] = Json();
    if (row.result_id)
        json["answers"] = {{"sop_instance_uid", row.result_sop_instance_uid},
                           {"revision", row.result_revision},
                           {"model_sha256", row.result_model_sha256},
                           {"found_by", row.answered_by},
                           {"reader_saw_it", row.saw_result}};
    json["findings"] = Json::object();
    for (const auto& one : row.findings)
        json["findings"][one.label] = {
            {"presence", one.presence}, {"was", text_or_null(one.was)}, {"answer", text_or_null(one.answer)}};
    json["predecessors"] = row.predecessors;
    json["comments"] = stored_json(row.comments);
    return json;
}

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

std::string line(const FeedbackRow& row) {
    return fmt::format("{}  {}{}  {}  by {} at {}  study {}", row.id, row.state,
                       row.superseded_by.empty() ? "" : " (superseded)", or_dash(row.kind),
                       or_dash(row.reader), row.read_at ? iso8601(*row.read_at) : "-", row.study_uid);
}

std::string words(const FeedbackRow& row) {
    std::string text =
        line(row) + fmt::format("\nreport {} from {}\n", row.sop_instance_uid, or_dash(row.calling_ae));
    if (!row.reason.empty()) text += "reason: " + row.reason + "\n";
    if (!row.superseded_by.empty()) text += "superseded by " + row.superseded_by + "\n";
    if (row.result_id)
        text += fmt::format("answers {} (revision {}), found by {}\n", row.result_sop_instance_uid,
                            row.result_revision, row.answered_by);
    for (const auto& one : row.findings)
        text += fmt::format("  {:<17} {:<13} {}\n", one.label, one.presence,
                            one.answer == "changed" ? "was " + one.was : one.answer);
    for (const Json& comment : stored_json(row.comments))
        text += fmt::format("comment ({}): {}\n", comment.value("name", ""), comment.value("text", ""));
    text.pop_back();
    return text;
}

Result<FeedbackRow> chosen(Connection& db, const std::string& what) {
    const bool number =
        !what.empty() && what.size() < 18 && what.find_first_not_of("0123456789") == std::string::npos;
    std::optional<FeedbackRow> row;
    if (number) {
        SCOPENODE_ASSIGN(row, find_feedback(db, std::stoll(what)));
    } else {
        SCOPENODE_ASSIGN(auto rows, feedback_of_sop(db, what));
        if (!rows.empty()) row = std::move(rows.back());
    }
    if (!row) return fail(Code::kNotFound, "no feedback {}: `scopenode feedback list` names them", what);
    return std::move(*row);
}

std::string json_text(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<std::string> feedback_list(Index& index, const FeedbackFilter& filter, bool json) {
    SCOPENODE_ASSIGN(const auto rows, index.read([&](Connection& db) { return list_feedback(db, filter); }));
    Json all = Json::array();
    std::string text;
    for (const FeedbackRow& row : rows) {
        all.push_back(entry(row));
        text += (text.empty() ? "" : "\n") + line(row);
    }
    if (json) return json_text(Json::object({{"feedback", all}}));
    return text.empty() ? "no feedback" : text;
}

Result<std::string> feedback_show(Index& index, const std::string& what, bool json) {
    SCOPENODE_ASSIGN(const auto row, index.read([&](Connection& db) { return chosen(db, what); }));
    if (!json) return words(row);
    Json all = entry(row);
    all["document"] = stored_json(row.document);
    return json_text(all);
}

Result<Json> feedback_entries(Connection& db, const std::string& study_uid) {
    SCOPENODE_ASSIGN(const auto rows, list_feedback(db, {"", study_uid, 1000}));
    Json all = Json::array();
    for (const FeedbackRow& row : rows) all.push_back(entry(row));
    return all;
}

}  // namespace scopenode::workflows
