#include "config/settings.h"

#include <nlohmann/json.hpp>

#include "base/core/files.h"
#include "base/core/ids.h"
#include "config/meaning.h"
#include "config/schema_check.h"
#include "scopenode_config_data.h"

namespace scopenode::config {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Keeps the default where a key is absent. Called only after the schema has passed.
template <class T>
void take(const json& from, const char* key, T& into) {
    if (const auto found = from.find(key); found != from.end()) found->get_to(into);
}

Destination destination_of(const json& from) {
    Destination one;
    take(from, "name", one.name);
    take(from, "ae_title", one.ae_title);
    take(from, "host", one.host);
    take(from, "port", one.port);
    take(from, "allow_demonstration", one.allow_demonstration);
    take(from, "storage_commitment", one.storage_commitment);
    take(from, "warnings_are_success", one.warnings_are_success);
    const json bundle = from.value("bundle", json::object());
    take(bundle, "sr", one.bundle.sr);
    take(bundle, "overlays", one.bundle.overlays);
    take(bundle, "key_objects", one.bundle.key_objects);
    take(bundle, "presentation_states", one.bundle.presentation_states);
    return one;
}

void take_training(const json& from, Settings::Training& t) {
    take(from, "label_callers", t.label_callers);
    take(from, "start_after_labels", t.start_after_labels);
    take(from, "start_every_days", t.start_every_days);
    take(from, "held_out_share", t.held_out_share);
    take(from, "judge_share", t.judge_share);
    take(from, "fewest_studies", t.fewest_studies);
    take(from, "epochs", t.epochs);
    take(from, "batch", t.batch);
    take(from, "learning_rate", t.learning_rate);
    take(from, "depth", t.depth);
    take(from, "rehearsal_share", t.rehearsal_share);
    take(from, "rehearsal_phantoms", t.rehearsal_phantoms);
    take(from, "golden_phantoms", t.golden_phantoms);
    take(from, "device", t.device);
    take(from, "threads", t.threads);
    take(from, "memory_mb", t.memory_mb);
    take(from, "niceness", t.niceness);
    const json gate = from.value("gate", json::object());
    take(gate, "level", t.gate.level);
    take(gate, "golden_margin", t.gate.golden_margin);
    take(gate, "class_margin", t.gate.class_margin);
    take(gate, "rate_margin", t.gate.rate_margin);
    take(gate, "calibration_margin", t.gate.calibration_margin);
    take(gate, "latency_ratio", t.gate.latency_ratio);
}

ordered_json training_json(const Settings::Training& t) {
    return {{"label_callers", t.label_callers},
            {"start_after_labels", t.start_after_labels},
            {"start_every_days", t.start_every_days},
            {"held_out_share", t.held_out_share},
            {"judge_share", t.judge_share},
            {"fewest_studies", t.fewest_studies},
            {"epochs", t.epochs},
            {"batch", t.batch},
            {"learning_rate", t.learning_rate},
            {"depth", t.depth},
            {"rehearsal_share", t.rehearsal_share},
            {"rehearsal_phantoms", t.rehearsal_phantoms},
            {"golden_phantoms", t.golden_phantoms},
            {"device", t.device},
            {"threads", t.threads},
            {"memory_mb", t.memory_mb},
            {"niceness", t.niceness},
            {"gate",
             {{"level", t.gate.level},
              {"golden_margin", t.gate.golden_margin},
              {"class_margin", t.gate.class_margin},
              {"rate_margin", t.gate.rate_margin},
              {"calibration_margin", t.gate.calibration_margin},
              {"latency_ratio", t.gate.latency_ratio}}}};
}

Settings settings_of(const json& document) {
    Settings s;
    const auto part = [&](const char* key) { return document.value(key, json::object()); };
    const json site = part("site"), dimse = part("dimse"), http = part("http"), intake = part("intake"),
               inference = part("inference"), reports = part("reports"), archive = part("archive"),
               delivery = part("delivery");
    take(site, "name", s.site.name);
    take(site, "time_zone", s.site.time_zone);
    take(site, "default_issuer", s.site.default_issuer);
    take(site, "write_timezone_offset", s.site.write_timezone_offset);
    take(dimse, "ae_title", s.dimse.ae_title);
    take(dimse, "bind", s.dimse.bind);
    take(dimse, "port", s.dimse.port);
    take(dimse, "max_associations", s.dimse.max_associations);
    take(dimse, "timeout_seconds", s.dimse.timeout_seconds);
    take(dimse, "allowed_callers", s.dimse.allowed_callers);
    take(http, "bind", s.http.bind);
    take(http, "port", s.http.port);
    take(intake, "quiet_seconds", s.intake.quiet_seconds);
    take(intake, "quiet_seconds_by_ae", s.intake.quiet_seconds_by_ae);
    take(intake, "patience", s.intake.patience);
    take(intake, "longest_wait_seconds", s.intake.longest_wait_seconds);
    take(intake, "minimum_slices", s.intake.minimum_slices);
    take(intake, "pixel_gate", s.intake.pixel_gate);
    take(intake, "stat_callers", s.intake.stat_callers);
    take(intake, "stat_descriptions", s.intake.stat_descriptions);
    take(inference, "device", s.inference.device);
    take(inference, "threads", s.inference.threads);
    take(inference, "batch", s.inference.batch);
    take(inference, "precision", s.inference.precision);
    take(inference, "rsna_rescale_quirk", s.inference.rsna_rescale_quirk);
    take(inference, "abstain_unlike_training", s.inference.abstain_unlike_training);
    take(reports, "not_eligible", s.reports.not_eligible);
    take(archive, "keep_free_mb", s.archive.keep_free_mb);
    take(delivery, "first_retry_seconds", s.delivery.first_retry_seconds);
    take(delivery, "longest_retry_seconds", s.delivery.longest_retry_seconds);
    take_training(part("training"), s.training);
    for (const json& one : document.value("destinations", json::array()))
        s.destinations.push_back(destination_of(one));
    for (const json& one : document.value("peers", json::array())) {
        s.peers.push_back(destination_of(one));
        s.peers.back().name = s.peers.back().ae_title;
    }
    return s;
}

/// Puts something harmless where a value is at fault, so that the meaning of all others can still be checked.
void mend(json& document, const json::json_pointer& pointer) {
    const std::string where = pointer.to_string();
    const std::string key = pointer.back();
    const std::string list = pointer.empty() ? "" : where.substr(0, where.find('/', 1));
    if ((list == "/destinations" || list == "/peers") && where.size() > list.size()) {
        const std::size_t at = list.size() + 1;
        const std::string number = where.substr(at, where.find('/', at) - at);
        const json whole = {{"name", "#" + number}, {"ae_title", "X" + number}, {"host", "x"}, {"port", 1}};
        if (key == number)
            document[pointer] = whole;
        else if (whole.contains(key))
            document[pointer] = whole[key];
        else
            document[pointer.parent_pointer()].erase(key);
    } else if (where.starts_with("/dimse/allowed_callers/")) {
        document[pointer] = "X";
    } else if (where == "/dimse/allowed_callers") {
        document[pointer] = json::array({"X"});
    } else {
        document[pointer.parent_pointer()].erase(key);
    }
}

}  // namespace

std::string_view settings_schema() {
    for (const auto& file : scopenode_config_data_files())
        if (file.path == "config/schema/node.schema.json") return file.bytes;
    return "{}";
}

Checked check_settings(const std::string& text) {
    Checked checked;
    json document;
    try {
        document = json::parse(text);
    } catch (const json::parse_error& error) {
        checked.faults.push_back({"", fmt::format("is not JSON: fault at byte {}", error.byte)});
        return checked;
    }
    const json schema = json::parse(settings_schema());
    checked.faults = schema_faults(document, schema);
    if (!document.is_object()) return checked;
    json sound = document;
    for (const Fault& fault : checked.faults) mend(sound, json::json_pointer(fault.pointer));
    checked.settings = settings_of(sound);
    checked.settings.revision = sha256_hex(text).substr(0, 12);
    for (Fault& fault : meaning_faults(checked.settings)) checked.faults.push_back(std::move(fault));
    return checked;
}

Result<Settings> load_settings(const std::filesystem::path& node_dir) {
    const auto file = node_dir / "node.json";
    auto text = read_file(file);
    if (!text)
        return fail(text.error().code, "{}: is {} a node folder? `scopenode init` makes one",
                    text.error().message, node_dir.string());
    Checked checked = check_settings(*text);
    if (checked.faults.empty()) return std::move(checked.settings);
    std::string all;
    for (const Fault& fault : checked.faults)
        all += fmt::format("{}{} {}", all.empty() ? "" : "; ",
                           fault.pointer.empty() ? "the file" : fault.pointer, fault.text);
    return fail(Code::kInvalidSettings, "{} has {} fault{}: {}", file.string(), checked.faults.size(),
                checked.faults.size() == 1 ? "" : "s", all);
}

std::string settings_json(const Settings& s) {
    ordered_json out;
    out["site"] = {{"name", s.site.name},
                   {"time_zone", s.site.time_zone},
                   {"default_issuer", s.site.default_issuer},
                   {"write_timezone_offset", s.site.write_timezone_offset}};
    out["dimse"] = {{"ae_title", s.dimse.ae_title},
                    {"bind", s.dimse.bind},
                    {"port", s.dimse.port},
                    {"max_associations", s.dimse.max_associations},
                    {"timeout_seconds", s.dimse.timeout_seconds},
                    {"allowed_callers", s.dimse.allowed_callers}};
    out["http"] = {{"bind", s.http.bind}, {"port", s.http.port}};
    out["intake"] = {{"quiet_seconds", s.intake.quiet_seconds},
                     {"quiet_seconds_by_ae", s.intake.quiet_seconds_by_ae},
                     {"patience", s.intake.patience},
                     {"longest_wait_seconds", s.intake.longest_wait_seconds},
                     {"minimum_slices", s.intake.minimum_slices},
                     {"pixel_gate", s.intake.pixel_gate},
                     {"stat_callers", s.intake.stat_callers},
                     {"stat_descriptions", s.intake.stat_descriptions}};
    out["inference"] = {{"device", s.inference.device},
                        {"threads", s.inference.threads},
                        {"batch", s.inference.batch},
                        {"precision", s.inference.precision},
                        {"rsna_rescale_quirk", s.inference.rsna_rescale_quirk},
                        {"abstain_unlike_training", s.inference.abstain_unlike_training}};
    out["reports"] = {{"not_eligible", s.reports.not_eligible}};
    out["archive"] = {{"keep_free_mb", s.archive.keep_free_mb}};
    out["delivery"] = {{"first_retry_seconds", s.delivery.first_retry_seconds},
                       {"longest_retry_seconds", s.delivery.longest_retry_seconds}};
    out["training"] = training_json(s.training);
    out["destinations"] = ordered_json::array();
    for (const Destination& d : s.destinations)
        out["destinations"].push_back({{"name", d.name},
                                       {"ae_title", d.ae_title},
                                       {"host", d.host},
                                       {"port", d.port},
                                       {"allow_demonstration", d.allow_demonstration},
                                       {"storage_commitment", d.storage_commitment},
                                       {"warnings_are_success", d.warnings_are_success},
                                       {"bundle",
                                        {{"sr", d.bundle.sr},
                                         {"overlays", d.bundle.overlays},
                                         {"key_objects", d.bundle.key_objects},
                                         {"presentation_states", d.bundle.presentation_states}}}});
    out["peers"] = ordered_json::array();
    for (const Destination& p : s.peers)
        out["peers"].push_back({{"ae_title", p.ae_title}, {"host", p.host}, {"port", p.port}});
    return out.dump(2) + "\n";
}

}  // namespace scopenode::config
