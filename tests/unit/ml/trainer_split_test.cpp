#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "ml/torch/trainer_loader.h"
#include "ml/torch/trainer_split.h"

#include <doctest/doctest.h>

using namespace scopenode;
using namespace scopenode::ml;

namespace {

/// Slices of patients that the set puts on a side, or not, or on some slices only.
std::vector<SliceRecord> random_records(unsigned seed, bool one_on_both_sides) {
    std::mt19937 draw(seed);
    std::vector<SliceRecord> records;
    const std::size_t patients = 3 + draw() % 40, traitor = draw() % patients;
    for (std::size_t p = 0; p < patients; ++p) {
        const unsigned told = draw() % 3;
        const bool rehearsal = draw() % 3 == 0;
        const std::size_t slices = 2 + draw() % 6;
        for (std::size_t s = 0; s < slices; ++s) {
            SliceRecord record;
            record.patient = draw() % 50 == 0 ? "" : "p" + std::to_string(p);
            record.study = "p" + std::to_string(p);
            record.rehearsal = rehearsal;
            if (draw() % 10 != 0) record.labels[0] = draw() % 3 == 0;
            if (told != 0 && draw() % 2 == 0) record.part = told == 1 ? Part::kLearn : Part::kJudge;
            if (one_on_both_sides && p == traitor && s < 2)
                record.part = s == 0 ? Part::kLearn : Part::kJudge;
            records.push_back(record);
        }
    }
    std::shuffle(records.begin(), records.end(), draw);
    return records;
}

/// `positives` with blood and `negatives` without, each a patient.
void add(std::vector<SliceRecord>& records, int positives, int negatives, bool rehearsal) {
    for (int i = 0; i < positives + negatives; ++i) {
        SliceRecord record;
        record.patient = record.study = "p" + std::to_string(records.size());
        record.labels[0] = i < positives;
        record.rehearsal = rehearsal;
        record.part = Part::kLearn;
        records.push_back(record);
    }
}

std::size_t count(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& order,
                  bool SliceRecord::*flag) {
    return std::size_t(
        std::count_if(order.begin(), order.end(), [&](std::size_t i) { return records[i].*flag; }));
}

std::size_t positives(const std::vector<SliceRecord>& records, const std::vector<std::size_t>& order) {
    return std::size_t(
        std::count_if(order.begin(), order.end(), [&](std::size_t i) { return records[i].positive(); }));
}

}  // namespace

TEST_CASE("no patient is on both sides whatever the set says and the set's word is kept") {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        const auto records = random_records(seed, false);
        const auto split = split_by_patient(records, 0.3);
        REQUIRE(split);
        std::set<std::string> learning, judging;
        std::set<std::size_t> seen;
        const auto note = [&](const std::vector<std::size_t>& list, std::set<std::string>& side) {
            for (const std::size_t i : list) {
                CHECK(records[i].labelled());
                CHECK(seen.insert(i).second);
                side.insert(records[i].study);
            }
        };
        note(split->training, learning);
        note(split->rehearsal, learning);
        note(split->validation, judging);
        std::map<std::string, Part> told;
        for (const auto& r : records)
            if (r.part && !r.patient.empty()) told[r.study] = *r.part;
        // Every study here is one patient: a slice without a patient goes by its study, which has the same
        // name.
        for (const auto& patient : learning) CHECK_FALSE(judging.contains(patient));
        for (const auto& [patient, part] : told)
            CHECK_FALSE((part == Part::kJudge ? learning : judging).contains(patient));
        CHECK(seen.size() == std::size_t(std::count_if(records.begin(), records.end(),
                                                       [](const auto& r) { return r.labelled(); })));
    }
}

TEST_CASE("a set that puts one patient on both sides is refused by name") {
    for (unsigned seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        const auto refused = split_by_patient(random_records(seed, true), 0.3);
        REQUIRE(!refused);
        CHECK(refused.error().code == Code::kInvalidArgument);
        CHECK(refused.error().message.rfind("patient p", 0) == 0);
    }
    std::vector<SliceRecord> records;
    add(records, 1, 0, false);
    for (const double weight : {0.0, -1.0, 1.5, std::nan("")}) {
        records[0].weight = weight;
        const auto refused = split_by_patient(records, 0.3);
        REQUIRE(!refused);
        CHECK(refused.error().message.find("study p0") != std::string::npos);
    }
}

TEST_CASE("an epoch holds the wanted share of earlier slices however many there are") {
    for (const int earlier : {3, 60, 900}) {
        CAPTURE(earlier);
        std::vector<SliceRecord> records;
        add(records, 40, 90, false);
        add(records, earlier / 3, earlier - earlier / 3, true);
        const auto split = split_by_patient(records, 0);
        REQUIRE(split);
        CHECK(split->rehearsal.size() == std::size_t(earlier));
        for (const double share : {0.0, 0.3, 0.5}) {
            const auto order = epoch_order(records, *split, {7, 2, false, share});
            const std::size_t old = count(records, order, &SliceRecord::rehearsal);
            CHECK(order.size() - old == 40 + 30);
            CHECK(double(old) / double(order.size()) == doctest::Approx(share).epsilon(0.02));
            CHECK((order == epoch_order(records, *split, {7, 2, false, share})));
            CHECK((order != epoch_order(records, *split, {7, 3, false, share})));
            CHECK((order.size() == epoch_order(records, *split, {7, 3, true, share}).size()));
        }
    }
    std::vector<SliceRecord> only_earlier;
    add(only_earlier, 4, 6, true);
    const auto split = split_by_patient(only_earlier, 0);
    REQUIRE(split);
    CHECK(split->training.size() == 10);
    CHECK(epoch_order(only_earlier, *split, {1, 0, false, 0.3}).size() == 6);
}

TEST_CASE("natural epochs draw positives as often as they are and others take them all") {
    std::vector<SliceRecord> records;
    add(records, 300, 2700, false);
    const auto split = split_by_patient(records, 0);
    REQUIRE(split);
    std::size_t natural = 0, all = 0;
    for (int epoch = 0; epoch < 10; ++epoch) {
        const auto thinned = epoch_order(records, *split, {5, epoch, false, 0.3});
        CHECK(positives(records, thinned) == 300);
        CHECK(thinned.size() == 1200);
        const auto order = epoch_order(records, *split, {5, epoch, true, 0.3});
        CHECK(order.size() == 1200);
        CHECK(std::set(order.begin(), order.end()).size() == order.size());
        natural += positives(records, order);
        all += order.size();
    }
    // 12,000 draws at 10 %: four standard deviations are 1.1 %.
    CHECK(double(natural) / double(all) == doctest::Approx(0.1).epsilon(0.11));
}

TEST_CASE("the loader gives batches in order and hands on what its thread threw") {
    const auto numbered = [](std::size_t n) { return Batch{torch::full({1}, float(n)), {}, n}; };
    BatchLoader loader(20, numbered);
    for (std::size_t n = 0; n < 20; ++n) {
        const auto batch = loader.next();
        REQUIRE(batch);
        CHECK(batch->slices == n);
        CHECK(batch->images.item<float>() == float(n));
    }
    CHECK_FALSE(loader.next());
    CHECK(loader.waited_seconds() >= 0);

    BatchLoader left_alone(1000, numbered);  // its thread waits for room and must end with it
    CHECK(left_alone.next());

    BatchLoader broken(5, [&](std::size_t n) -> Batch {
        if (n == 2) throw std::runtime_error("the cache is gone");
        return numbered(n);
    });
    CHECK(broken.next());
    CHECK(broken.next());
    CHECK_THROWS_WITH(broken.next(), "the cache is gone");
    CHECK_FALSE(broken.next());
}
