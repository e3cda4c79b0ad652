#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/core/files.h"
#include "storage/dicom/header.h"
#include "tests/support/ct_files.h"
#include "workflows/phantoms.h"
#include "workflows/training/evaluate.h"
#include "workflows/training/rehearsal_set.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::workflows;

namespace fs = std::filesystem;

namespace {

fs::path phantom_folder(const TemporaryFolder& folder, int studies) {
    PhantomFolderOptions options;
    options.out = folder.path() / "set";
    options.studies = studies;
    options.phantom.slices = 8;
    options.phantom.size = 64;
    options.phantom.positive_rate = 0.6;
    REQUIRE(write_phantoms(options, nullptr));
    return options.out;
}

void write_text(const fs::path& file, const std::string& text) {
    std::ofstream(file) << text;
}

template <class Change>
void change(const fs::path& file, const Change& with) {
    DcmFileFormat loaded;
    REQUIRE(loaded.loadFile(file.c_str()).good());
    loaded.loadAllDataIntoMemory();
    with(*loaded.getDataset());
    REQUIRE(loaded.saveFile(file.c_str(), EXS_LittleEndianExplicit).good());
}

/// Knows the truth of every slice and says it for some findings, the contrary or nothing for others.
class Oracle : public ml::Model {
  public:
    explicit Oracle(const FolderDataset& data) : data_(data) {}
    const ml::Manifest& manifest() const override { return manifest_; }
    const std::string& id() const override { return id_; }
    const std::string& manifest_sha256() const override { return id_; }
    std::string device() const override { return "cpu"; }
    Result<std::vector<ml::SliceScores>> infer(std::span<const HuImage> slices) const override {
        std::vector<ml::SliceScores> out;
        for (std::size_t i = 0; i < slices.size(); ++i) {
            const auto& labels = data_.slices().at(next_++).labels;
            ml::Scores scores{};
            for (std::size_t k = 0; k < ml::kLabelCount; ++k) scores[k] = labels[k].value() ? 0.9F : 0.1F;
            scores[5] = 0.3F;
            out.push_back({scores, std::nullopt});
        }
        return out;
    }

  private:
    const FolderDataset& data_;
    ml::Manifest manifest_;
    std::string id_ = "0123456789ab";
    mutable std::size_t next_ = 0;
};

}  // namespace

TEST_CASE("a phantom folder is a training set in the order of its stacks") {
    const TemporaryFolder folder;
    const auto path = phantom_folder(folder, 3);
    const auto set = FolderDataset::open(path);
    REQUIRE(set);
    REQUIRE((*set)->size() == 24);
    CHECK((*set)->description().find("24 labelled slices of 3 studies") == 0);
    std::set<std::string> patients;
    for (std::size_t i = 0; i < 24; ++i) {
        const auto slice = (*set)->load(i);
        REQUIRE(slice);
        CHECK(slice->image.width == 64);
        CHECK(slice->labels[0].has_value());
        patients.insert(slice->patient);
        if (i % 8 != 0) {
            const auto before = (*set)->load(i - 1);
            CHECK(before->study == slice->study);
            CHECK(before->z_mm < slice->z_mm);
        }
    }
    CHECK(patients.size() == 3);
}

TEST_CASE("a folder knows when its files are others and when the disk is away") {
    const TemporaryFolder folder;
    const auto path = phantom_folder(folder, 2);
    const auto set = FolderDataset::open(path).value();
    CHECK(FolderDataset::open(path).value()->identity() == set->identity());
    const fs::path slice = path / "0001" / "0003.dcm";
    change(slice, [](DcmDataset& d) { d.putAndInsertString(DCM_PatientComments, "sent again, and longer"); });
    const auto other = FolderDataset::open(path).value();
    CHECK(other->description() == set->description());
    CHECK(other->identity() != set->identity());
    // What passes by itself is told from what is wrong with a slice.
    fs::remove(set->slices()[5].file);
    const auto away = set->load(5);
    REQUIRE_FALSE(away);
    CHECK(away.error().code == Code::kIo);
    CHECK(away.error().retryable());
}

TEST_CASE("a slice that does not say of which study it is is left out and listed") {
    const TemporaryFolder folder;
    const auto path = phantom_folder(folder, 1);
    change(path / "0001" / "0003.dcm", [](DcmDataset& d) { delete d.remove(DCM_StudyInstanceUID); });
    const auto set = FolderDataset::open(path).value();
    CHECK(set->size() == 7);
    REQUIRE(set->skipped().size() == 1);
    CHECK_MESSAGE(set->skipped()[0].find("no Study Instance UID") != std::string::npos, set->skipped()[0]);
}

TEST_CASE("earlier data follow as rehearsal") {
    const TemporaryFolder new_folder, old_folder;
    auto fresh = FolderDataset::open(phantom_folder(new_folder, 2));
    auto earlier = FolderDataset::open(phantom_folder(old_folder, 1));
    REQUIRE(fresh);
    REQUIRE(earlier);
    const auto set = with_rehearsal(std::move(*fresh), std::move(*earlier));
    REQUIRE(set->size() == 24);
    CHECK(set->load(15)->rehearsal == false);
    CHECK(set->load(16)->rehearsal == true);
    CHECK(set->load(16)->image.hu == set->load(0)->image.hu);  // the same seed
    CHECK(set->description().find("of 2 studies") != std::string::npos);
    CHECK(set->description().find("rehearsal: 8 labelled slices of 1 studies") != std::string::npos);
    CHECK(set->skipped().empty());
}

TEST_CASE("labels by file name - unknown labels and files without a label") {
    const TemporaryFolder folder;
    const auto path = phantom_folder(folder, 1);
    fs::rename(path / "0001" / "0002.dcm", path / "0001" / "ID_1b5ac170c.dcm");
    write_text(path / "0001" / "notes.dcm", "no DICOM");
    write_text(path / "labels.csv", "ID,Label\r\nID_1b5ac170c_epidural,0\r\nID_1b5ac170c_any,1\r\n");
    const auto set = FolderDataset::open(path);
    REQUIRE(set);
    REQUIRE((*set)->size() == 1);
    REQUIRE((*set)->skipped().size() == 1);
    CHECK((*set)->skipped()[0].find("notes.dcm: ") != std::string::npos);
    const auto& labels = (*set)->slices()[0].labels;
    CHECK(labels[0] == true);
    CHECK(labels[1] == false);
    for (std::size_t k = 2; k < ml::kLabelCount; ++k) CHECK(!labels[k].has_value());
}

TEST_CASE("a training set that was read with the rescale quirk says so in its description") {
    const TemporaryFolder folder;
    test::SmallStudy study;
    std::string labels = "ID,Label\n";
    for (int i = 0; i < 4; ++i) {
        if (i >= 1) study.quirk_raw = 3096;
        test::write_bytes(folder.path() / (std::to_string(i) + ".dcm"), study.slice(i).value());
        labels += study.sop_instance_uid(i) + "_any,0\n";
    }
    write_text(folder.path() / "labels.csv", labels);
    const auto plain = FolderDataset::open(folder.path());
    const auto turned = FolderDataset::open(folder.path(), storage::Rescale::kRsnaQuirk);
    REQUIRE(plain);
    REQUIRE(turned);
    CHECK((*plain)->description().find("quirk") == std::string::npos);
    CHECK((*turned)->description().find("RSNA rescale quirk undone in 3 slices of 1 series") !=
          std::string::npos);
    CHECK((*plain)->load(2)->image.hu[0] == 3096);
    CHECK((*turned)->load(2)->image.hu[0] == -1000);
    CHECK((*turned)->load(0)->image.hu == (*plain)->load(0)->image.hu);
}

TEST_CASE("faulty label files are refused with their line") {
    const TemporaryFolder folder;
    const auto csv = folder.path() / "labels.csv";
    for (const char* line : {"a_any", "a_any,2", "a_something,1", "_any,1", "any,0", "a_any,"}) {
        CAPTURE(line);
        write_text(csv, std::string("ID,Label\nb_any,1\n") + line + "\n");
        const auto refused = read_kaggle_labels(csv);
        REQUIRE(!refused);
        CHECK(refused.error().message.find("line 3") != std::string::npos);
    }
    write_text(csv, "ID,Label\nb_any,1\nb_any,0\n");
    CHECK(read_kaggle_labels(csv).error().message.find("two labels") != std::string::npos);
    CHECK(FolderDataset::open(folder.path()).error().code == Code::kInvalidArgument);
    CHECK(FolderDataset::open(folder.path() / "none").error().code == Code::kNotFound);
    write_text(csv, "ID,Label\nb_any,1\n");
    CHECK(FolderDataset::open(folder.path()).error().code == Code::kNotFound);
}

TEST_CASE("evaluation counts studies and gives a perfect model an area of one") {
    const TemporaryFolder folder;
    const auto set = FolderDataset::open(phantom_folder(folder, 12));
    REQUIRE(set);
    const Oracle oracle(**set);
    const auto e = evaluate(oracle, **set);
    REQUIRE(e);
    CHECK(e->studies == 12);
    CHECK(e->slices == 96);
    const auto& study = e->study;
    REQUIRE(study.positives[0] > 2);
    REQUIRE(study.positives[0] < 12);
    CHECK(study.auroc[0] == 1.0);
    CHECK(study.auprc[0] == 1.0);
    CHECK(study.model.at_threshold[0].sensitivity().value() == 1.0);
    CHECK(study.model.at_threshold[0].specificity().value() == 1.0);
    CHECK(e->highest_hu_auroc[0] <= 1.0);
    REQUIRE(study.positives[5] > 0);
    CHECK(study.auroc[5] == 0.5);
    CHECK(study.auprc[5] == doctest::Approx(study.baselines.prevalence[5]));
    CHECK(study.model.at_threshold[5].sensitivity().value() == 0.0);
    // 0.9 or 0.1 for the truth of five labels, 0.3 for subdural: by hand.
    const double right = -std::log(0.9), share = e->slice.baselines.prevalence[5];
    CHECK(
        e->slice.model.weighted_log_loss ==
        doctest::Approx((6 * right - share * std::log(0.3) - (1 - share) * std::log(0.7)) / 7).epsilon(1e-6));
    CHECK(e->slice.model.weighted_accuracy == doctest::Approx(1 - share / 7));

    const auto json = nlohmann::json::parse(evaluation_json(*e));
    CHECK(json["study_auroc"]["any"] == 1.0);
    CHECK(json["positive_studies"]["any"] == study.positives[0]);
    CHECK(json["baselines"]["dense_volume"].contains("any"));
    CHECK(json["slice_log_loss"] == json["slice_level"]["model"]["weighted_log_loss"]);
    CHECK(json["study_level"]["findings"]["any"]["sensitivity"]["low"] < 1.0);
    CHECK(json["slice_level"]["all_negative"]["weighted_accuracy"] < 1.0);
    const auto remarks = json["remarks"].dump();
    CHECK(remarks.find("subdural (Brier score)") != std::string::npos);
    CHECK(remarks.find("weighted log loss is NO BETTER") == std::string::npos);
    const std::string table = evaluation_table(*e);
    CHECK(table.find("  any ") != std::string::npos);
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) CHECK((line.size() <= 100 || !line.starts_with(" ")));
}

TEST_CASE("a model that knows nothing is told so in words beside what knows nothing") {
    const TemporaryFolder folder;
    const auto set = FolderDataset::open(phantom_folder(folder, 6));
    REQUIRE(set);
    class Same final : public Oracle {
      public:
        using Oracle::Oracle;
        Result<std::vector<ml::SliceScores>> infer(std::span<const HuImage> slices) const override {
            const ml::Scores same{0.2F, 0.2F, 0.2F, 0.2F, 0.2F, 0.2F};
            return std::vector<ml::SliceScores>(slices.size(), {same, std::nullopt});
        }
    };
    const Same same(**set);
    const auto e = evaluate(same, **set);
    REQUIRE(e);
    const std::string table = evaluation_table(*e);
    for (const char* words : {"Slices: the weighted log loss is NO BETTER than that of the prevalence alone",
                              "Slices: the accuracy is NO BETTER than giving the commoner answer",
                              "Slices: the probabilities say NO MORE than the prevalence",
                              "Studies: only 6 of them", "fewer than 10 positive"})
        CHECK_MESSAGE(table.find(words) != std::string::npos, words);
}
