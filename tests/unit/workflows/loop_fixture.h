#pragma once
#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/core/files.h"
#include "ml/model.h"
#include "storage/archive/archive.h"
#include "storage/index/catalog.h"
#include "tests/support/ct_files.h"
#include "workflows/delivery.h"
#include "workflows/intake.h"
#include "workflows/node.h"
#include "workflows/study_work.h"

namespace scopenode::test {

/// A clock that only moves when told.
class HandClock final : public Clock {
  public:
    UtcMs now() const override { return time; }
    std::int64_t steady_ms() const override { return time - set_by; }
    UtcMs time = 1'790'000'000'000;
    UtcMs set_by = 0;  ///< how far somebody has moved it
};

/// Finds bleeding in slices that are brighter than 100 HU in the middle; counts what it was asked.
class FakeModel final : public ml::Model {
  public:
    FakeModel() {
        manifest_.name = "Fake (demonstration)";
        manifest_.demonstration = true;
    }
    const ml::Manifest& manifest() const override { return manifest_; }
    /// From now on it has learnt from something.
    void know_range(double limit) { manifest_.range = {{0}, {1}, limit}; }
    const std::string& id() const override { return id_; }
    const std::string& manifest_sha256() const override { return sha256_; }
    std::string device() const override { return "cpu"; }
    Result<std::vector<ml::SliceScores>> infer(std::span<const HuImage> slices) const override {
        if (before) before();
        if (failing || slices.size() > most) return fail(Code::kOutOfResources, "no memory");
        for (const HuImage& image : slices)
            if (image.hu[0] == poison) return fail(Code::kInternal, "a poisonous slice");
        slices_seen += static_cast<int>(slices.size());
        std::vector<ml::SliceScores> all;
        for (const HuImage& image : slices) {
            const bool bright = image.hu[image.hu.size() / 2] > 100;
            all.push_back({{bright ? 0.9F : 0.1F, 0.1F, bright ? 0.8F : 0.1F, 0.1F, 0.1F, 0.1F}, distance});
        }
        return all;
    }
    /// Hot in one corner.
    Result<std::vector<ml::Grid>> grad_cam(const HuImage&,
                                           std::span<const std::size_t> labels) const override {
        if (failing_maps) return fail(Code::kOutOfResources, "no memory for a map");
        ml::Grid map{2, 2, {1, 0, 0, 0}};
        return std::vector<ml::Grid>(labels.size(), map);
    }
    mutable int slices_seen = 0;
    bool failing = false, failing_maps = false;
    std::function<void()> before;  ///< called at each batch
    std::size_t most = 1000;    ///< slices that its memory holds
    std::optional<double> distance;  ///< of every slice
    float poison = 1e9F;        ///< it throws out slices whose first value is this

  private:
    ml::Manifest manifest_;
    std::string sha256_ = std::string(64, 'a'), id_ = std::string(12, 'a');
};

/// A node without its network: everything by hand, one step at a time.
struct Loop {
    TemporaryFolder folder;
    HandClock clock;
    config::Settings settings;
    std::unique_ptr<storage::Index> index;
    std::unique_ptr<storage::Archive> archive;
    FakeModel model;
    storage::PixelReader pixels;
    std::unique_ptr<workflows::Associations> associations;
    std::unique_ptr<workflows::Intake> intake;
    std::unique_ptr<workflows::SliceScorer> scorer;
    std::unique_ptr<workflows::StudyWork> work;
    std::function<Result<std::shared_ptr<const ml::Model>>(const std::string&)> other_model;
    std::atomic<bool> stopping{false};
    std::function<void()> report_stored;

    Loop() {
        settings.intake.quiet_seconds = 10;
        settings.intake.pixel_gate = false;  // the slices of the tests are no heads, where they are not drawn so
        settings.destinations.push_back({"pacs", "PACS", "127.0.0.1", 104, false});
        index = storage::Index::open(folder.path() / "index.sqlite", clock).value();
        archive = storage::Archive::open(folder.path(), *index, real_files(), 0).value();
        restart();
    }
    /// The process ends and another one starts; `crashed`: by a fault of its own.
    void restart(bool crashed = false) {
        const std::shared_ptr<const ml::Model> served(&model, [](const ml::Model*) {});
        associations = std::make_unique<workflows::Associations>(*index, clock);
        intake = std::make_unique<workflows::Intake>(settings, *index, *archive, clock, *associations,
                                                     workflows::score_key(model, settings));
        scorer = std::make_unique<workflows::SliceScorer>(
            workflows::SliceScorer::Parts{settings, *index, *archive, served, pixels, clock});
        work = std::make_unique<workflows::StudyWork>(workflows::StudyWork::Parts{
            settings, *index, *archive, served, other_model, pixels, clock, "2.25.7", "0.0",
            report_stored});
        REQUIRE(index->write([&](storage::Connection& db) -> Status {
            SCOPENODE_TRY(storage::count_deaths(db, crashed));
            SCOPENODE_TRY(storage::requeue_running_jobs(db));
            return {};
        }));
    }
    void receive(const std::string& bytes, const std::string& sop_instance_uid) {
        auto staged = archive->stage();
        REQUIRE(staged);
        REQUIRE(staged->append(bytes));
        const auto stored = archive->store(
            std::move(*staged),
            {"CT", "127.0.0.1", "1.2.840.10008.5.1.4.1.1.2", sop_instance_uid, "1.2.840.10008.1.2.1", ""});
        REQUIRE_MESSAGE(stored, (stored ? "" : stored.error().message));
    }
    void receive(const SmallStudy& study, int first, int count) {
        for (int i = first; i < first + count; ++i)
            receive(study.slice(i).value(), study.sop_instance_uid(i));
    }
    void pass() { REQUIRE(intake->pass()); }
    /// Lets the quiet time run out.
    void quiet() {
        pass();
        clock.time += 10'001;
        pass();
    }
    bool work_once() {
        const auto did = work->turn(stopping);
        REQUIRE_MESSAGE(did, (did ? "" : did.error().message));
        return *did;
    }
    nlohmann::json show(const std::string& uid) {
        const auto text = workflows::studies_show(*index, uid, true);
        REQUIRE_MESSAGE(text, (text ? "" : text.error().message));
        return nlohmann::json::parse(*text);
    }
    nlohmann::json why(const std::string& uid) {
        return nlohmann::json::parse(workflows::studies_why(*index, uid, true).value());
    }
    /// Reports that were made of a study.
    std::size_t results(const std::string& uid) { return results_of_kind(uid, "sr").size(); }
    std::vector<nlohmann::json> results_of_kind(const std::string& uid, const std::string& kind) {
        std::vector<nlohmann::json> found;
        const auto story = why(uid);
        for (const auto& result : story["results"])
            if (result["kind"] == kind) found.push_back(result);
        return found;
    }
};

}  // namespace scopenode::test
