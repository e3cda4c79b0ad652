#pragma once
#include <limits>

#include "tests/unit/workflows/gate_simulation.h"
#include "workflows/training/training_page.h"

namespace scopenode::test {

/// A page as a job would fill it, over simulated studies.
inline workflows::TrainingPage sample_page(unsigned seed, int patients, double gain) {
    workflows::TrainingPage page;
    page.job = "17";
    page.asked_by = "Dr. A. Example";
    page.started = "2026-11-27 18:02 UTC";
    page.finished = "2026-11-27 23:41 UTC";
    page.champion = {"3f9a1c0b7d21", "head CT, spring", "serving since 2026-05-02"};
    page.candidate = {"b81e77c2409d", "head CT, spring, tuned on corrections", "parent: 3f9a1c0b7d21"};
    page.facts = {{"Preset", "scopeformer_nano"},
                  {"Learnt from", "snapshot 9c41 of 2026-11-27, half of each batch from the old data"}};
    page.demonstration = true;
    SimulatedSet set;
    set.patients = patients;
    set.champion = 0.84;
    set.candidate = 0.84 + gain;
    set.several = 0.2;
    set.findings = true;
    Simulator simulator(seed);
    page.gate = simulated_input(simulator, set, set);
    page.gate.champion_ms_per_slice = 14.8;
    page.gate.candidate_ms_per_slice = 15.1;
    const char* devices[] = {"GE Revolution", "Siemens Somatom", "Canon Aquilion"};
    for (auto* studies : {&page.gate.newest, &page.gate.golden})
        for (auto& study : *studies) {
            study.groups["device"] = devices[simulator.engine()() % 3];
            study.groups["age"] = simulator.unit() < 0.6 ? "60 and over" : "18 to 59";
            if (simulator.unit() < 0.9) study.groups["sex"] = simulator.unit() < 0.5 ? "F" : "M";
            if (simulator.unit() < 0.05) study.truth[4].reset();
        }
    page.data = {
        {"learnt from", 812, 940, 29110, {301, 22, 120, 88, 131, 140}, {639, 918, 820, 852, 809, 800}, {}},
        {"validation",
         98,
         110,
         3402,
         {35, 3, 14, 10, 15, 16},
         {75, 107, 96, 100, 93, 94},
         {0, 0, 0, 0, 2, 0}}};
    page.left_out = {{"studies", 14, "both answers of a radiologist contradict each other"},
                     {"studies", 6, "the pixels no longer match their digest"}};
    for (int e = 1; e <= 12; ++e) {
        workflows::PageEpoch epoch;
        epoch.epoch = e;
        epoch.train_loss = 0.11 + 0.35 * std::exp(-0.4 * e) + 0.01 * simulator.unit();
        epoch.validation_loss = 0.16 + 0.28 * std::exp(-0.45 * e) + 0.0025 * e + 0.01 * simulator.unit();
        for (std::size_t k = 0; k < ml::kLabelCount; ++k)
            epoch.auroc[k] = 0.93 - 0.02 * double(k) - 0.2 * std::exp(-0.4 * e) + 0.02 * simulator.unit();
        if (e < 3) epoch.auroc[1] = std::numeric_limits<double>::quiet_NaN();
        page.epochs.push_back(epoch);
    }
    page.kept_epoch = 9;
    page.verdict = workflows::judge_candidate(page.gate, {});
    return page;
}

}  // namespace scopenode::test
