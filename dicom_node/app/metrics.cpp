#include "dicom_node/app/metrics.h"

#include <iterator>
#include <map>

#include "dicom_node/app/node_folder.h"
#include "storage/index/catalog.h"
#include "storage/index/commitments.h"
#include "storage/index/mpps.h"
#include "storage/index/queue.h"
#include "storage/index/results.h"

namespace scopenode::dicom_node {
namespace {

class Text {
  public:
    void family(const char* name, const char* type, const char* help) {
        fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }
    template <class T>
    void value(const char* name, const std::string& labels, T number) {
        fmt::format_to(std::back_inserter(out_), "{}{} {}\n", name, labels.empty() ? "" : "{" + labels + "}",
                       number);
    }
    template <class T>
    void single(const char* name, const char* type, const char* help, T number) {
        family(name, type, help);
        value(name, "", number);
    }
    std::string take() { return std::move(out_); }

  private:
    std::string out_;
};

struct Rows {
    storage::Totals totals;
    std::map<std::string, std::int64_t> jobs{{"queued", 0}, {"running", 0}, {"failed", 0}};
    std::map<std::string, std::int64_t> outbox{{"waiting", 0}, {"refused", 0}};
    std::map<std::string, UtcMs> oldest;
    std::map<std::string, std::int64_t> commitments, steps;
};

Result<Rows> read_rows(storage::Connection& db) {
    constexpr int kMany = 100000;
    Rows rows;
    SCOPENODE_ASSIGN(rows.totals, storage::totals(db));
    SCOPENODE_ASSIGN(const auto jobs, storage::count_jobs(db));
    for (const auto& [state, count] : jobs)
        if (const auto known = rows.jobs.find(state); known != rows.jobs.end()) known->second = count;
    for (auto& [state, count] : rows.outbox) {
        SCOPENODE_ASSIGN(const auto list, storage::list_outbox(db, state, kMany));
        count = static_cast<std::int64_t>(list.size());
    }
    SCOPENODE_ASSIGN(rows.oldest, storage::oldest_waiting(db));
    SCOPENODE_ASSIGN(rows.commitments, storage::commitment_counts(db));
    SCOPENODE_ASSIGN(rows.steps, storage::mpps_counts(db));
    return rows;
}

void add_dimse(Text& text, const DimseServer& dimse) {
    const auto& c = dimse.counters();
    text.single("scopenode_associations", "gauge", "Associations that are open.", dimse.associations());
    text.single("scopenode_associations_accepted_total", "counter", "Associations accepted.",
                c.accepted.load());
    text.single("scopenode_associations_rejected_total", "counter", "Associations rejected.",
                c.rejected.load());
    const char* name = "scopenode_objects_total";
    text.family(name, "counter", "C-STORE requests by outcome.");
    text.value(name, "outcome=\"stored\"", c.stored.load());
    text.value(name, "outcome=\"duplicate\"", c.duplicates.load());
    text.value(name, "outcome=\"conflict\"", c.conflicts.load());
    text.value(name, "outcome=\"refused\"", c.refused.load());
    text.single("scopenode_received_bytes_total", "counter", "Bytes of objects received.", c.bytes.load());
}

void add_services(Text& text, const Rows& rows, UtcMs now) {
    text.family("scopenode_delivery_oldest_seconds", "gauge",
                "Age of the oldest result that waits for a destination.");
    for (const auto& [destination, since] : rows.oldest)
        text.value("scopenode_delivery_oldest_seconds", "destination=\"" + destination + "\"",
                   static_cast<double>(now - since) / 1000);
    text.family("scopenode_commitments", "gauge", "Deliveries by state of their Storage Commitment.");
    for (const auto& [state, count] : rows.commitments)
        text.value("scopenode_commitments", "state=\"" + state + "\"", count);
    text.family("scopenode_performed_procedure_steps", "gauge",
                "Modality performed procedure steps by state.");
    for (const auto& [state, count] : rows.steps)
        text.value("scopenode_performed_procedure_steps", "state=\"" + state + "\"", count);
}

void add_rows(Text& text, const Rows& rows) {
    text.single("scopenode_studies", "gauge", "Studies in the index.", rows.totals.studies);
    text.single("scopenode_series", "gauge", "Series in the index.", rows.totals.series);
    text.single("scopenode_instances", "gauge", "Instances in the index.", rows.totals.instances);
    text.single("scopenode_archive_bytes", "gauge", "Bytes of the objects in the archive.",
                rows.totals.bytes);
    text.single("scopenode_quarantined", "gauge", "Objects in quarantine.", rows.totals.quarantined);
    text.family("scopenode_jobs", "gauge", "Jobs by state.");
    for (const auto& [state, count] : rows.jobs)
        text.value("scopenode_jobs", "state=\"" + state + "\"", count);
    text.family("scopenode_deliveries", "gauge", "Deliveries that are not done, by state.");
    for (const auto& [state, count] : rows.outbox)
        text.value("scopenode_deliveries", "state=\"" + state + "\"", count);
}

}  // namespace

Result<std::string> metrics_text(const MetricsSources& sources) {
    SCOPENODE_ASSIGN(const auto rows, sources.index.read(read_rows));
    Text text;
    text.family("scopenode_build_info", "gauge", "Version of the program and the model that serves.");
    text.value("scopenode_build_info",
               fmt::format("version=\"{}\",model=\"{}\",device=\"{}\"", program_version(), sources.model.id(),
                           sources.model.device()),
               1);
    add_dimse(text, sources.dimse);
    add_rows(text, rows);
    add_services(text, rows, sources.index.clock().now());
    text.single("scopenode_oldest_runnable_job_seconds", "gauge",
                "Wait of the oldest job that could run now.",
                static_cast<double>(sources.loop.oldest_runnable_job_ms()) / 1000);
    text.single("scopenode_inference_rests", "gauge",
                "1 while scoring waits because memory or disk failed: somebody has to look.",
                sources.loop.inference_rests() ? 1 : 0);
    const auto counters = sources.index.counters();
    text.single("scopenode_index_commits_total", "counter", "Commits of the index.", counters.commits);
    text.single("scopenode_index_writes_total", "counter", "Writes that shared these commits.",
                counters.bodies);
    return text.take();
}

}  // namespace scopenode::dicom_node
