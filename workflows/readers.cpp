#include "workflows/node.h"
#include "workflows/story.h"

namespace scopenode::workflows {
namespace {

using namespace storage;

constexpr int kRows = 1000;

Result<Json> of_study(Index& index, const std::string& uid,
                      Result<Json> (*tell)(Connection&, const StudyRow&)) {
    return index.read([&](Connection& db) -> Result<Json> {
        SCOPENODE_ASSIGN(const auto study, find_study(db, uid));
        if (!study) return fail(Code::kNotFound, "no study {}: `scopenode studies list` names them", uid);
        return tell(db, *study);
    });
}

std::string or_dash(const Json& value) {
    if (value.is_null() || value == "") return "-";
    return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Rows under their headings, columns as wide as they have to be.
std::string table(const Json& rows, const std::vector<std::string>& columns) {
    std::vector<std::size_t> widths;
    for (const auto& column : columns) {
        std::size_t width = column.size();
        for (const Json& row : rows) width = std::max(width, or_dash(row[column]).size());
        widths.push_back(width);
    }
    const auto line = [&](const auto& cell) {
        std::string text;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const std::string value = cell(columns[i]);
            text += i + 1 == columns.size() ? value : fmt::format("{:<{}}  ", value, widths[i]);
        }
        return text;
    };
    std::string text = line([](const std::string& column) { return column; });
    for (const Json& row : rows)
        text += "\n" + line([&](const std::string& column) { return or_dash(row[column]); });
    return text;
}

}  // namespace

Result<std::string> studies_list(Index& index, bool json) {
    SCOPENODE_ASSIGN(const auto rows, index.read([](Connection& db) { return list_studies(db, {}); }));
    Json all = Json::array();
    for (const auto& row : rows) all.push_back(worklist_entry(row));
    if (json) return json_text(Json::object({{"studies", all}}));
    if (all.empty()) return std::string("no studies");
    return table(all,
                 {"study_uid", "patient_id", "accession_number", "state", "revision", "series", "instances",
                  "last_received"});
}

Result<std::string> studies_show(Index& index, const std::string& study_uid, bool json) {
    SCOPENODE_ASSIGN(const auto entry, of_study(index, study_uid, study_entry));
    return json ? json_text(entry) : show_text(entry);
}

Result<std::string> studies_why(Index& index, const std::string& study_uid, bool json) {
    SCOPENODE_ASSIGN(const auto instance, index.read([&](Connection& db) -> Result<Json> {
        SCOPENODE_ASSIGN(const auto study, find_study(db, study_uid));
        if (study) return Json();
        SCOPENODE_ASSIGN(const auto row, find_instance(db, study_uid));
        return row ? instance_story(db, *row) : Result<Json>(Json());
    }));
    if (!instance.is_null()) return json ? json_text(instance) : instance_text(instance);
    SCOPENODE_ASSIGN(auto story, of_study(index, study_uid, study_story));
    if (!json) return why_text(story);
    // For programs `series` are the series themselves; their number is that of the list.
    story["series"] = std::move(story["all_series"]);
    story.erase("all_series");
    return json_text(story);
}

Result<std::string> jobs_list(Index& index, const std::string& state, bool json) {
    SCOPENODE_ASSIGN(const auto rows,
                     index.read([&](Connection& db) { return list_jobs(db, state, kRows); }));
    Json all = Json::array();
    for (const auto& row : rows) all.push_back(job_entry(row));
    if (json) return json_text(Json::object({{"jobs", all}}));
    if (all.empty()) return std::string("no jobs");
    return table(all, {"id", "kind", "state", "study_uid", "revision", "attempts", "last_error"});
}

Result<std::string> jobs_show(Index& index, std::int64_t id, bool json) {
    SCOPENODE_ASSIGN(const auto row, index.read([&](Connection& db) { return find_job(db, id); }));
    if (!row) return fail(Code::kNotFound, "no job {}: `scopenode jobs list` names them", id);
    const Json entry = job_entry(*row);
    if (json) return json_text(entry);
    std::string text;
    for (const auto& [key, value] : entry.items()) text += fmt::format("{:<11} {}\n", key, or_dash(value));
    text.pop_back();
    return text;
}

Result<std::string> outbox_list(Index& index, const std::string& state, bool json) {
    SCOPENODE_ASSIGN(const auto rows,
                     index.read([&](Connection& db) { return list_outbox(db, state, kRows); }));
    Json all = Json::array();
    for (const auto& row : rows) all.push_back(delivery_entry(row));
    if (json) return json_text(Json::object({{"deliveries", all}}));
    if (all.empty()) return std::string("no deliveries");
    return table(all, {"id", "destination", "state", "commitment", "study_uid", "attempts", "sent", "code",
                       "last_error"});
}

}  // namespace scopenode::workflows
