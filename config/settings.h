#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace scopenode::config {

/// A peer that results are sent to.
struct Destination {
    std::string name, ae_title, host;
    int port = 0;
    bool allow_demonstration = false;  ///< results of the demonstration model may leave the loopback
    std::string storage_commitment = "auto";  ///< ask for it: where it is offered, "always", "never"
    bool warnings_are_success = true;         ///< a C-STORE status of 0xB000 to 0xBFFF ends a delivery well
    /// Which results it gets.
    struct Bundle {
        std::string sr = "comprehensive3d";  ///< or comprehensive, enhanced, basic_text, none, auto
        bool overlays = true, key_objects = true, presentation_states = false;
    } bundle = {};
    bool is_loopback() const;
};

/// node.json as plain values: the only form in which settings are read. Immutable once loaded.
struct Settings {
    struct Site {
        std::string name = "ScopeNode";
        std::string time_zone = "UTC";
        std::string default_issuer;  ///< of patient IDs without an issuer
        bool write_timezone_offset = false;
    } site;
    struct Dimse {
        std::string ae_title = "SCOPENODE";
        std::string bind = "127.0.0.1";
        int port = 11112;
        int max_associations = 32;
        int timeout_seconds = 30;                  ///< a silent peer is let go after this
        std::vector<std::string> allowed_callers;  ///< empty: any, on loopback only
    } dimse;
    struct Http {
        std::string bind = "127.0.0.1";
        int port = 8080;
    } http;
    struct Intake {
        int quiet_seconds = 30;  ///< without a new object a study is complete
        std::map<std::string, int> quiet_seconds_by_ae;  ///< of the sender of the last object
        int patience = 3;  ///< times the quiet time while something says that objects are missing
        int longest_wait_seconds = 900;                  ///< complete after this in any case
        int minimum_slices = 8;
        bool pixel_gate = true;  ///< a series that is no head by its pixels is not eligible
        std::vector<std::string> stat_callers;       ///< AE titles whose studies go first
        std::vector<std::string> stat_descriptions;  ///< part of a study's description that makes it urgent
    } intake;
    struct Inference {
        std::string device = "auto";
        int threads = 0;
        int batch = 8;
        std::string precision = "fp32";   ///< or "bf16", of the CNNs
        bool rsna_rescale_quirk = false;  ///< undo it where headers have it; for research data only
        bool abstain_unlike_training = false;  ///< from a study that is unlike the model's training data
    } inference;
    struct Reports {
        bool not_eligible = false;  ///< a study without an eligible series gets a short report that says why
    } reports;
    struct Archive {
        std::uint64_t keep_free_mb = 512;
    } archive;
    struct Delivery {
        int first_retry_seconds = 5;
        int longest_retry_seconds = 600;
    } delivery;
    struct Training {
        std::vector<std::string> label_callers;  ///< AE titles whose reports label; empty: all that may call
        int start_after_labels = 0;    ///< newly labelled studies that start a job by themselves; 0: never
        int start_every_days = 0;      ///< since the last job, when anything was labelled since; 0: never
        double held_out_share = 0.4;   ///< of patients, by hash: never learnt from, candidates are judged on them
        double judge_share = 0.2;      ///< of the others: for early stopping, calibration and thresholds
        int fewest_studies = 20;       ///< fewer to learn from are refused
        int epochs = 2;
        int batch = 16;
        double learning_rate = 1e-3;
        std::string depth = "auto";    ///< or calibration, head, encoder, all
        double rehearsal_share = 0.5;  ///< of an epoch: what the champion knew before
        /// While a demonstration model serves: phantoms that stand for what it has learnt from.
        int rehearsal_phantoms = 200, golden_phantoms = 200;
        std::string device = "auto";
        int threads = 1;
        int memory_mb = 8192;          ///< a job that needs more is ended
        int niceness = 10;             ///< of the child process
        struct Gate {
            double level = 0.05;             ///< of wrongly promoting, one-sided
            double golden_margin = 0.04;     ///< of the AUROC of any, that may be lost on the golden set
            double class_margin = 0.05;      ///< of each class's AUROC
            double rate_margin = 0.05;       ///< of sensitivity and specificity
            double calibration_margin = 0.05;
            double latency_ratio = 1.5;
        } gate;
    } training;
    std::vector<Destination> destinations;
    std::vector<Destination> peers;  ///< others whose address is known (their name is their AE title)
    std::string revision;  ///< start of the sha256 of the file's bytes
};

/// One fault of a settings file.
struct Fault {
    std::string pointer;  ///< JSON pointer, "/dimse/port"
    std::string text;
};

struct Checked {
    Settings settings;
    std::vector<Fault> faults;  ///< all at once: schema, unknown keys, then meaning
};
/// Checks the bytes of a node.json.
Checked check_settings(const std::string& json);
/// Reads DIR/node.json; kInvalidSettings lists every fault in one line.
Result<Settings> load_settings(const std::filesystem::path& node_dir);
/// The text of a node.json with these settings.
std::string settings_json(const Settings& settings);
/// The JSON schema of node.json.
std::string_view settings_schema();

/// 1-16 characters of the default repertoire without backslash, not only spaces (PS3.5 AE).
bool is_legal_ae_title(const std::string& title);
/// "NAME=AET@HOST:PORT" and "AET@HOST:PORT".
Result<Destination> parse_destination(const std::string& text);
Result<Destination> parse_peer(const std::string& text);

}  // namespace scopenode::config
