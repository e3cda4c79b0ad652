#include "workflows/eligibility.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "base/core/ids.h"
#include "workflows/reasons.h"

namespace scopenode::workflows {
namespace {

using storage::InstanceHeader;
using storage::Judgement;
using namespace reasons;

constexpr std::string_view kCtImage = "1.2.840.10008.5.1.4.1.1.2";
constexpr std::string_view kEnhancedCt = "1.2.840.10008.5.1.4.1.1.2.1";
constexpr std::string_view kLegacyEnhancedCt = "1.2.840.10008.5.1.4.1.1.2.2";
constexpr double kMostTiltDegrees = 30;
constexpr double kSameOrientationDegrees = 1;
constexpr double kSamePositionMm = 0.05;
// Eight slices of 4 mm are the shortest stack that the default minimum of slices lets through.
constexpr double kLeastExtentMm = 30;
constexpr double kMostExtentMm = 350;
constexpr int kLeastPixels = 64;

double dot(const std::array<double, 3>& a, const std::array<double, 3>& b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
double cosine(double degrees) {
    return std::cos(degrees * std::numbers::pi / 180);
}

std::string upper_words(const std::string& text) {
    std::string words = " ";
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        words += std::isalnum(u) ? static_cast<char>(std::toupper(u)) : ' ';
    }
    return words + " ";
}

enum class Says { kNothing, kHead, kOther };

Says says(const std::string& text) {
    // Parts of words where a word is long enough to be unmistakable, whole words otherwise.
    static constexpr std::string_view kHead[] = {"HEAD",   "BRAIN", "SKULL", "CRANI",    "CEREB", "NEURO",
                                                 "STROKE", "KOPF",  "CRANE", "SCHAEDEL", " CCT "};
    static constexpr std::string_view kOther[] = {
        "CHEST", "THORA",    "ABDOM", "PELVI",     "LUNG",   "SPINE", "CARDIA", "HEART",  "CORONARY",
        "LIVER", "KIDNEY",   "RENAL", "COLON",     "KNEE",   "ANKLE", " FOOT ", " HAND ", "WRIST",
        "ELBOW", "SHOULDER", "FEMUR", "EXTREMITY", " NECK ", " LEG ", " ARM ",  " HIP "};
    const std::string words = upper_words(text);
    const auto among = [&](const auto& list) {
        return std::any_of(std::begin(list), std::end(list),
                           [&](auto w) { return words.find(w) != std::string::npos; });
    };
    if (among(kHead)) return Says::kHead;
    return among(kOther) ? Says::kOther : Says::kNothing;
}

bool is_not_head(const InstanceHeader& h) {
    const Says part = says(h.body_part), series = says(h.series_description);
    if (part == Says::kOther || series == Says::kOther) return true;
    if (part == Says::kHead || series == Says::kHead) return false;
    const Says protocol = says(h.protocol_name);
    if (protocol != Says::kNothing) return protocol == Says::kOther;
    return says(h.study_description) == Says::kOther;
}

/// Why an image cannot belong to an axial head CT, looking at it alone; "" when nothing speaks against it.
std::string_view slice_reason(const InstanceHeader* header) {
    if (!header) return kUnreadable;
    const InstanceHeader& h = *header;
    const auto& type = h.image_type;
    if (h.sop_class_uid == kEnhancedCt || h.sop_class_uid == kLegacyEnhancedCt) return kEnhancedNotRead;
    if (h.sop_class_uid != kCtImage || h.modality != "CT") return kNotCt;
    if (h.frames > 1) return kEnhancedNotRead;
    if (std::find(type.begin(), type.end(), "LOCALIZER") != type.end()) return kLocalizer;
    if (!type.empty() && type[0] == "DERIVED") return kDerived;
    if (!h.position_mm || !h.orientation) return kNoGeometry;
    const auto normal = upward_normal(h);
    if (!(dot(normal, normal) > 0.5)) return kNoGeometry;
    if (normal[2] < cosine(kMostTiltDegrees + 0.01)) return kNotAxial;
    if (!h.has_pixels || h.rows < kLeastPixels || h.columns < kLeastPixels) return kNoPixels;
    if (is_not_head(h)) return kNotHead;
    return "";
}

struct Candidate {
    std::size_t index = 0;  ///< into the series' slices
    const InstanceHeader* header = nullptr;
    std::array<double, 3> normal{};
    double mm = 0;
};

/// Keeps the orientation that most images have, if it is that of more than half of them.
std::vector<Candidate> one_orientation(const std::vector<Candidate>& all, std::vector<std::string>& codes) {
    std::vector<std::vector<Candidate>> groups;
    for (const Candidate& c : all) {
        auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) {
            return dot(g.front().normal, c.normal) > cosine(kSameOrientationDegrees);
        });
        if (group == groups.end()) group = groups.emplace(groups.end());
        group->push_back(c);
    }
    if (groups.empty()) return {};
    auto kept = std::max_element(groups.begin(), groups.end(),
                                 [](const auto& a, const auto& b) { return a.size() < b.size(); });
    const bool enough = 2 * kept->size() > all.size();
    for (const auto& group : groups)
        for (const Candidate& c : group)
            if (!enough || &group != &*kept) codes[c.index] = kMixedOrientations;
    return enough ? *kept : std::vector<Candidate>{};
}

std::vector<Candidate> one_per_position(const std::vector<Candidate>& all, std::vector<std::string>& codes) {
    std::vector<Candidate> kept;
    std::map<double, std::size_t> places;
    for (const Candidate& c : all) {
        const auto near = places.lower_bound(c.mm - kSamePositionMm);
        if (near != places.end() && near->first <= c.mm + kSamePositionMm) {
            codes[c.index] = kDuplicatePosition;
        } else {
            places.emplace(c.mm, c.index);
            kept.push_back(c);
        }
    }
    return kept;
}

double thickness_mm(const SeriesHeaders& series, const Judgement& judgement) {
    std::vector<double> all;
    for (std::size_t i = 0; i < series.slices.size(); ++i)
        if (const auto* h = series.slices[i].header; h && judgement.slices[i].reason_code.empty())
            all.push_back(h->slice_thickness_mm.value_or(0));
    if (all.empty()) return 0;
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    return all[all.size() / 2];
}

double extent_mm(const std::vector<Candidate>& stack) {
    const auto [low, high] = std::minmax_element(stack.begin(), stack.end(),
                                                 [](const auto& a, const auto& b) { return a.mm < b.mm; });
    return high->mm - low->mm + stack.front().header->slice_thickness_mm.value_or(0);
}

/// The reason that most images have; the earlier one in the table when two are as frequent.
std::string main_reason(const std::vector<std::string>& codes) {
    std::map<std::string, int> count;
    for (const auto& code : codes) ++count[code];
    std::string best;
    for (const auto& [code, n] : count)
        if (best.empty() || n > count[best] || (n == count[best] && rank(code) < rank(best))) best = code;
    return best;
}

void refuse(Judgement& j, std::string_view code, const std::string& detail = "") {
    j.eligible = false;
    j.reason_code = code;
    j.reason_text = reason(code, detail).text;
    for (auto& slice : j.slices)
        if (slice.reason_code.empty()) slice.reason_code = code;
}

int number(const std::string& text) {
    return text.empty() ? 1 << 30 : std::atoi(text.c_str());
}

std::string label(const SeriesHeaders& series) {
    const auto* h = series.slices.empty() ? nullptr : series.slices.front().header;
    return h && !h->series_number.empty() ? "Chosen: series " + h->series_number + "."
                                          : "Chosen: " + series.series_uid + ".";
}

}  // namespace

std::array<double, 3> upward_normal(const InstanceHeader& header) {
    const auto& o = *header.orientation;
    std::array<double, 3> n{o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]};
    const double length = std::sqrt(dot(n, n));
    if (!(length > 0.5)) return {};
    for (double& x : n) x /= n[2] < 0 ? -length : length;
    return n;
}

double cranial_mm(const InstanceHeader& header) {
    if (!header.orientation || !header.position_mm) return 0;
    return dot(upward_normal(header), *header.position_mm);
}

bool is_ct_slice(const InstanceHeader& h) {
    if (h.sop_class_uid.empty() ? h.modality != "CT" : h.sop_class_uid != kCtImage) return false;
    const auto& type = h.image_type;
    return h.has_pixels && h.frames <= 1 && std::find(type.begin(), type.end(), "LOCALIZER") == type.end();
}

Judgement judge_headers(const SeriesHeaders& series, int minimum_slices) {
    Judgement j;
    for (const auto& slice : series.slices) j.slices.push_back({slice.instance_id, ""});
    if (series.own) {
        refuse(j, kOwnResult);
        return j;
    }
    std::vector<std::string> codes(series.slices.size());
    std::vector<Candidate> stack;
    for (std::size_t i = 0; i < codes.size(); ++i) {
        const auto* header = series.slices[i].header;
        codes[i] = slice_reason(header);
        if (codes[i].empty()) stack.push_back({i, header, upward_normal(*header), cranial_mm(*header)});
    }
    stack = one_per_position(one_orientation(stack, codes), codes);
    for (std::size_t i = 0; i < codes.size(); ++i) j.slices[i].reason_code = codes[i];

    const int count = static_cast<int>(stack.size());
    if (count == 0) {
        refuse(j, codes.empty() ? std::string(kTooFewSlices) : main_reason(codes));
    } else if (count < minimum_slices) {
        refuse(j, kTooFewSlices, fmt::format("{} can be used, {} are needed.", count, minimum_slices));
    } else if (const double mm = extent_mm(stack); mm < kLeastExtentMm || mm > kMostExtentMm) {
        refuse(j, kImplausibleExtent, fmt::format("They cover {:.0f} mm.", mm));
    } else {
        j.eligible = true;
    }
    return j;
}

std::vector<Judgement> judge_study(std::span<const SeriesHeaders> study, int minimum_slices) {
    std::vector<Judgement> all;
    std::optional<std::size_t> chosen;
    using Key = std::tuple<double, std::ptrdiff_t, int, std::string>;
    Key best;
    for (std::size_t i = 0; i < study.size(); ++i) {
        all.push_back(judge_headers(study[i], minimum_slices));
        if (!all[i].eligible) continue;
        const auto usable = std::count_if(all[i].slices.begin(), all[i].slices.end(),
                                          [](const auto& s) { return s.reason_code.empty(); });
        const auto* header = study[i].slices.front().header;
        Key key{std::abs(thickness_mm(study[i], all[i]) - 5), -usable,
                number(header ? header->series_number : ""), study[i].series_uid};
        if (chosen && best <= key) continue;
        chosen = i;
        best = std::move(key);
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].eligible && i != *chosen) refuse(all[i], kOtherSeriesChosen, label(study[*chosen]));
    return all;
}

std::string set_digest(std::vector<std::string> uids) {
    std::sort(uids.begin(), uids.end());
    std::string text;
    for (const auto& uid : uids) text += uid + "\n";
    return sha256_hex(text);
}

}  // namespace scopenode::workflows
