#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "config/settings.h"
#include "storage/index/database.h"
#include "storage/index/labels.h"

namespace scopenode::workflows {

// Labels come through one of three doors, all of which end in storage::put_label():
// verified reports (feedback), files, and a person at the command line.

/// A verified report that answers a result labels the study of that result; called when its feedback record
/// is written. What is undetermined or not reported takes an earlier word of the same reader back.
Status label_by_report(storage::Connection& db, const std::string& report_sop_instance_uid, UtcMs now);

/// `labels import FILE [--reader NAME]`: all of the file or nothing.
Result<std::string> import_labels(storage::Connection& db, const std::filesystem::path& csv,
                                  const std::string& reader, UtcMs now);

/// `labels add STUDY [--slice SOP] --reader NAME [--adjudicate] FINDING=present|absent|unknown...`
Result<std::string> add_labels(storage::Connection& db, std::span<const std::string> words, UtcMs now);

/// Labels that count: all but those of reports from a caller that may not label.
std::vector<storage::LabelRow> counted_labels(std::vector<storage::LabelRow> labels,
                                              const config::Settings::Training& training);

/// Whether reports, and key objects, of this caller count.
bool may_label(const std::string& caller, const config::Settings::Training& training);

/// Readers for people and programs.
Result<std::string> labels_list(storage::Index& index, const config::Settings& settings,
                                const storage::LabelFilter& filter, bool json);
/// What counts as true: a per-study file, or with `slices` the Kaggle form.
Result<std::string> labels_export(storage::Index& index, const config::Settings& settings, bool slices);
/// Where readers, or slices and study, contradict each other: a line each.
Result<std::string> labels_conflicts(storage::Index& index, const config::Settings& settings, bool json);

}  // namespace scopenode::workflows
