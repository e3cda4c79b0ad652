#include "workflows/phantoms.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <mutex>
#include <numbers>
#include <thread>
#include <vector>

#include "base/core/ids.h"

namespace scopenode::workflows {
namespace {

namespace fs = std::filesystem;

constexpr float kPaddingHu = -2000;

/// The rows that one study adds to the two tables.
struct Rows {
    std::string labels, study;
};

/// The subtypes in the order of the Kaggle file: any comes last there.
constexpr std::array<std::size_t, ml::kLabelCount> kKaggleOrder{1, 2, 3, 4, 5, 0};

/// Everything a header tells comes from here: the options and the number, never the truth.
class Identity {
  public:
    Identity(const ml::PhantomOptions& options, int number)
        : text_(fmt::format("scopenode phantom|{}|{}|{}|{}|{}|{}", options.seed, options.slices, options.size,
                            options.positive_rate, options.scanner, number)),
          number_(number) {}
    std::string uid(const std::string& what) const { return uid_from_text(text_ + "|" + what); }
    std::string patient_id() const { return "PH" + digest("patient").substr(0, 10); }
    std::string accession() const { return "A" + digest("accession").substr(0, 9); }
    std::string date() const {
        return fmt::format("2026{:02}{:02}", 1 + draw("month") % 10, 1 + draw("day") % 28);
    }
    std::string time() const {
        return fmt::format("{:02}{:02}{:02}", draw("hour") % 24, draw("minute") % 60, draw("second") % 60);
    }
    std::string birth_date() const { return fmt::format("19{:02}0101", 30 + draw("birth") % 60); }
    std::string sex() const { return draw("sex") % 2 ? "F" : "M"; }
    std::string name() const { return fmt::format("PHANTOM^{:04}", number_ + 1); }

  private:
    std::string digest(const char* what) const { return sha256_hex(text_ + "|" + what); }
    unsigned draw(const char* what) const {
        return static_cast<unsigned>(std::stoul(digest(what).substr(0, 7), nullptr, 16));
    }

    std::string text_;
    int number_;
};

storage::CtSlice header_of(const ml::PhantomStudy& study, const Identity& identity, int size) {
    storage::CtSlice ct;
    ct.patient_id = identity.patient_id();
    ct.patient_name = identity.name();
    ct.birth_date = identity.birth_date();
    ct.sex = identity.sex();
    ct.study_uid = identity.uid("study");
    ct.study_date = identity.date();
    ct.study_time = identity.time();
    ct.study_id = "1";
    ct.accession_number = identity.accession();
    ct.study_description = "CT HEAD";
    ct.series_uid = identity.uid("series");
    ct.series_number = "2";
    ct.series_description = "HEAD 5MM";
    ct.protocol_name = "HEAD ROUTINE";
    ct.frame_of_reference_uid = identity.uid("frame");
    ct.manufacturer = study.scanner.manufacturer;
    ct.model_name = study.scanner.model;
    ct.station_name = "PHANTOM";
    ct.convolution_kernel = study.scanner.kernel;
    ct.rows = ct.columns = size;
    ct.pixel_mm = study.scanner.pixel_mm * 512 / size;
    ct.slice_mm = study.scanner.slice_mm;
    ct.is_signed = study.scanner.is_signed;
    ct.bits_stored = study.scanner.bits_stored;
    ct.intercept = study.scanner.intercept;
    if (study.scanner.has_padding) ct.padding_raw = study.scanner.padding_raw;
    const double tilt = study.scanner.tilt_degrees * std::numbers::pi / 180;
    ct.gantry_tilt_degrees = study.scanner.tilt_degrees;
    ct.orientation = {1, 0, 0, 0, std::cos(tilt), -std::sin(tilt)};
    return ct;
}

Result<Rows> write_study(const PhantomFolderOptions& options, int number) {
    SCOPENODE_ASSIGN(const auto study, ml::make_phantom(options.phantom, static_cast<std::uint64_t>(number)));
    const Identity identity(options.phantom, number);
    storage::CtSlice ct = header_of(study, identity, options.phantom.size);
    const fs::path folder = options.out / fmt::format("{:04}", number + 1);
    std::error_code ec;
    fs::create_directories(folder, ec);
    if (ec) return fail(Code::kIo, "cannot make folder {}: {}", folder.string(), ec.message());
    const double half = ct.pixel_mm * (options.phantom.size - 1) / 2;
    const double stretch = 1 / ct.orientation[4];
    Rows rows;
    std::vector<std::int32_t> raw;
    for (std::size_t k = 0; k < study.slices.size(); ++k) {
        raw.clear();
        for (const float hu : study.slices[k].hu) raw.push_back(stored_value(study.scanner, hu));
        ct.raw = raw;
        ct.sop_instance_uid = identity.uid(fmt::format("slice {}", k));
        ct.instance_number = std::to_string(k + 1);
        // The table moves along z: its steps are longer than the distance between tilted slices.
        ct.position_mm = {-half, -half * ct.orientation[4],
                          half * -ct.orientation[5] + study.z_mm[k] * stretch};
        SCOPENODE_TRY(storage::write_ct(folder / fmt::format("{:04}.dcm", k + 1), ct));
        for (const std::size_t label : kKaggleOrder)
            rows.labels += fmt::format("{}_{},{}\n", ct.sop_instance_uid, ml::kLabels[label],
                                       study.slice_findings[k][label] ? 1 : 0);
    }
    rows.study = ct.study_uid;
    for (const bool finding : study.findings) rows.study += finding ? ",1" : ",0";
    rows.study += fmt::format(",{:.2f},{:.1f}\n", study.volume_ml, study.contrast_hu);
    return rows;
}

Status write_text(const fs::path& path, const std::string& head, const std::vector<Rows>& rows,
                  std::string Rows::*column) {
    std::ofstream out(path, std::ios::binary);
    out << head;
    for (const auto& row : rows) out << row.*column;
    out.close();
    if (!out) return fail(Code::kIo, "cannot write {}", path.string());
    return {};
}

Status check(const PhantomFolderOptions& options) {
    if (options.studies < 1 || options.studies > 9999)
        return fail(Code::kInvalidArgument, "--studies must be 1 to 9999, not {}", options.studies);
    const auto& p = options.phantom;
    if (p.slices < 1 || p.slices > 999)
        return fail(Code::kInvalidArgument, "--slices must be 1 to 999, not {}", p.slices);
    if (p.size < 64 || p.size > 1024)
        return fail(Code::kInvalidArgument, "--size must be 64 to 1024, not {}", p.size);
    if (!(p.positive_rate >= 0 && p.positive_rate <= 1))
        return fail(Code::kInvalidArgument, "--positive-rate must be 0 to 1, not {}", p.positive_rate);
    const auto& scanners = ml::phantom_scanners();
    const auto named = [&](const ml::Scanner& scanner) { return scanner.name == p.scanner; };
    if (!p.scanner.empty() && std::none_of(scanners.begin(), scanners.end(), named))
        return fail(Code::kInvalidArgument, "no scanner is called '{}': see --list-scanners", p.scanner);
    std::error_code ec;
    if (fs::exists(options.out, ec) && (!fs::is_directory(options.out, ec) || !fs::is_empty(options.out, ec)))
        return fail(Code::kConflict, "{} is not an empty folder: choose another", options.out.string());
    fs::create_directories(options.out, ec);
    if (ec) return fail(Code::kIo, "cannot make folder {}: {}", options.out.string(), ec.message());
    return {};
}

}  // namespace

std::int32_t stored_value(const ml::Scanner& scanner, float hu) {
    if (hu <= kPaddingHu && scanner.has_padding) return scanner.padding_raw;
    const int low = scanner.is_signed ? -(1 << (scanner.bits_stored - 1)) : 0;
    const int high = low + (1 << scanner.bits_stored) - 1;
    return std::clamp(static_cast<int>(std::lround(hu)) - scanner.intercept, low, high);
}

Status write_phantoms(const PhantomFolderOptions& options, const std::function<void(int done)>& on_study) {
    SCOPENODE_TRY(check(options));
    std::vector<Rows> rows(static_cast<std::size_t>(options.studies));
    std::atomic<int> next{0};
    std::mutex mutex;
    int done = 0;
    Status first_error;
    const auto work = [&] {
        for (int number = next++; number < options.studies; number = next++) {
            auto written = guard(Code::kInternal, [&] { return write_study(options, number); });
            const std::lock_guard lock(mutex);
            if (!written && first_error) first_error = fail(written.error());
            if (!first_error) return;
            rows[static_cast<std::size_t>(number)] = std::move(*written);
            ++done;
            if (on_study) on_study(done);
        }
    };
    const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    const int threads = std::min(options.threads > 0 ? options.threads : cores, options.studies);
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work);
    work();
    for (auto& thread : others) thread.join();
    SCOPENODE_TRY(first_error);
    SCOPENODE_TRY(write_text(options.out / "labels.csv", "ID,Label\n", rows, &Rows::labels));
    std::string head = "study_uid";
    for (const auto label : ml::kLabels) head += "," + std::string(label);
    return write_text(options.out / "studies.csv", head + ",volume_ml,contrast_hu\n", rows, &Rows::study);
}

}  // namespace scopenode::workflows
