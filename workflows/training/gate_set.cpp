#include "workflows/training/gate_set.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace scopenode::workflows {

GateSet::GateSet(std::string name, const std::vector<JudgedStudy>& studies) : name_(std::move(name)) {
    for (const JudgedStudy& study : studies) studies_.push_back(&study);
    // Scores too, as bytes because they may be no numbers: a study that is in it twice must not make the
    // order matter.
    std::sort(studies_.begin(), studies_.end(), [](const JudgedStudy* a, const JudgedStudy* b) {
        if (a->patient != b->patient) return a->patient < b->patient;
        if (a->study != b->study) return a->study < b->study;
        const int candidate = std::memcmp(&a->candidate, &b->candidate, sizeof a->candidate);
        return candidate != 0 ? candidate < 0
                              : std::memcmp(&a->champion, &b->champion, sizeof a->champion) < 0;
    });
}

ml::PairedScores GateSet::paired(std::size_t label, const Filter& filter) const {
    ml::PairedScores out;
    std::map<std::string, std::uint32_t> numbers;
    std::uint32_t next = 0;
    for (const JudgedStudy* study : studies_) {
        if (!study->truth[label] || (filter && !filter(*study))) continue;
        std::uint32_t number = next;
        if (study->patient.empty())
            ++next;
        else if (const auto [at, fresh] = numbers.try_emplace(study->patient, next); fresh)
            ++next;
        else
            number = at->second;
        out.first.push_back(study->champion[label]);
        out.second.push_back(study->candidate[label]);
        out.truth.push_back(*study->truth[label] ? 1 : 0);
        out.patient.push_back(number);
    }
    return out;
}

std::vector<ml::Truth> GateSet::truth() const {
    std::vector<ml::Truth> out;
    for (const JudgedStudy* study : studies_) out.push_back(study->truth);
    return out;
}

std::vector<ml::Probabilities> GateSet::said(ml::Probabilities JudgedStudy::*model) const {
    std::vector<ml::Probabilities> out;
    for (const JudgedStudy* study : studies_) out.push_back(study->*model);
    return out;
}

std::string group_value(const JudgedStudy& study, const std::string& key) {
    const auto at = study.groups.find(key);
    return at == study.groups.end() || at->second.empty() ? "unknown" : at->second;
}

std::vector<std::string> group_keys(std::span<const JudgedStudy* const> studies) {
    std::set<std::string> keys;
    for (const JudgedStudy* study : studies)
        for (const auto& [key, value] : study->groups) keys.insert(key);
    return {keys.begin(), keys.end()};
}

std::uint64_t seed_of(const GateRules& rules, const std::string& set, std::size_t label) {
    std::uint64_t x = rules.seed;
    for (const char c : set) x = x * 1099511628211ULL + static_cast<unsigned char>(c);
    x += 0x9E3779B97F4A7C15ULL * (label + 1);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

}  // namespace scopenode::workflows
