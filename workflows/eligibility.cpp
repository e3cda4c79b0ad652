#include "workflows/eligibility.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "base/core/ids.h"
#include "workflows/acquisition.h"
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
constexpr double kMostThicknessMm = 10, kMostSpacingMm = 15;
constexpr double kLeastPixelMm = 0.05, kMostPixelMm = 5, kMostPixelRatio = 1.5;
constexpr double kMostMissingShare = 0.3, kMostGapMm = 20;

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

/// As it is given: some scanners write 342 for -18.
double tilt_degrees(const InstanceHeader& h) {
    return std::abs(std::remainder(h.gantry_tilt_degrees.value_or(0), 360));
}

/// What makes it no axial slice, in words.
std::string off_axis(const InstanceHeader& h) {
    if (tilt_degrees(h) > kMostTiltDegrees)
        return fmt::format("The gantry is tilted by {:.0f} degrees.", tilt_degrees(h));
    const double off = std::acos(std::clamp(upward_normal(h)[2], -1.0, 1.0)) * 180 / std::numbers::pi;
    // Rows from right to left stay so when the gantry is tilted; in a sagittal image they do not.
    const bool is_tilt = std::abs((*h.orientation)[0]) > cosine(15) && off < 60;
    return fmt::format("They are {} by {:.0f} degrees.", is_tilt ? "tilted" : "turned", off);
}

bool has_plausible_pixels(const InstanceHeader& h) {
    if (!h.pixel_spacing_mm) return true;
    const auto [low, high] = std::minmax((*h.pixel_spacing_mm)[0], (*h.pixel_spacing_mm)[1]);
    return low >= kLeastPixelMm && high <= kMostPixelMm && high <= low * kMostPixelRatio;
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
    if (normal[2] < cosine(kMostTiltDegrees + 0.01) || tilt_degrees(h) > kMostTiltDegrees) return kNotAxial;
    if (!h.has_pixels || h.rows < kLeastPixels || h.columns < kLeastPixels) return kNoPixels;
    if (!h.rescale_slope || !h.rescale_intercept) return kRescaleAbsent;
    if (*h.rescale_slope == 0) return kRescaleInvalid;
    if (!has_plausible_pixels(h)) return kImplausibleSpacing;
    if (is_not_head(h)) return kNotHead;
    return "";
}

struct Candidate {
    std::size_t index = 0;  ///< into the series' slices
    const InstanceHeader* header = nullptr;
    std::array<double, 3> normal{};
    double mm = 0;
};

/// Keeps the images of the kind that most of them are, if it is that of more than half.
template <class Same>
std::vector<Candidate> largest_group(const std::vector<Candidate>& all, std::vector<std::string>& codes,
                                     std::string_view otherwise, Same same) {
    std::vector<std::vector<Candidate>> groups;
    for (const Candidate& c : all) {
        auto group =
            std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return same(g.front(), c); });
        if (group == groups.end()) group = groups.emplace(groups.end());
        group->push_back(c);
    }
    if (groups.empty()) return {};
    auto kept = std::max_element(groups.begin(), groups.end(),
                                 [](const auto& a, const auto& b) { return a.size() < b.size(); });
    const bool enough = 2 * kept->size() > all.size();
    for (const auto& group : groups)
        for (const Candidate& c : group)
            if (!enough || &group != &*kept) codes[c.index] = otherwise;
    return enough ? *kept : std::vector<Candidate>{};
}

bool have_same_orientation(const Candidate& a, const Candidate& b) {
    return dot(a.normal, b.normal) > cosine(kSameOrientationDegrees);
}

bool have_same_format(const Candidate& a, const Candidate& b) {
    const InstanceHeader &x = *a.header, &y = *b.header;
    const auto near = [](double one, double other, double by) { return std::abs(one - other) <= by; };
    if (x.rows != y.rows || x.columns != y.columns) return false;
    if (!near(*x.rescale_slope, *y.rescale_slope, 1e-6 * std::abs(*x.rescale_slope))) return false;
    if (!near(*x.rescale_intercept, *y.rescale_intercept, 0.5)) return false;
    if (x.pixel_spacing_mm.has_value() != y.pixel_spacing_mm.has_value()) return false;
    for (const std::size_t i : {0U, 1U})
        if (x.pixel_spacing_mm &&
            !near((*x.pixel_spacing_mm)[i], (*y.pixel_spacing_mm)[i], 0.01 * (*x.pixel_spacing_mm)[i]))
            return false;
    return true;
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

/// The images that make the stack of a series, and the codes of those that do not.
std::vector<Candidate> stack_of(const SeriesHeaders& series, std::vector<std::string>& codes) {
    codes.assign(series.slices.size(), "");
    std::vector<Candidate> stack;
    for (std::size_t i = 0; i < codes.size(); ++i) {
        const auto* header = series.slices[i].header;
        codes[i] = slice_reason(header);
        if (codes[i].empty()) stack.push_back({i, header, upward_normal(*header), cranial_mm(*header)});
    }
    stack = largest_group(stack, codes, kMixedOrientations, have_same_orientation);
    stack = largest_group(stack, codes, kMixedFormat, have_same_format);
    return one_per_position(stack, codes);
}

StackShape shape_of_stack(const std::vector<Candidate>& stack) {
    std::vector<SlicePlace> places;
    for (const Candidate& c : stack) places.push_back({c.mm, c.header->slice_thickness_mm.value_or(0)});
    return shape_of(std::move(places));
}

double thickness_mm(const std::vector<const InstanceHeader*>& slices) {
    std::vector<double> all;
    for (const auto* h : slices) all.push_back(h->slice_thickness_mm.value_or(0));
    if (all.empty()) return 0;
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    return all[all.size() / 2];
}

bool is_of_one_patient(const SeriesHeaders& series) {
    const InstanceHeader* first = nullptr;
    for (const auto& slice : series.slices) {
        if (!slice.header) continue;
        if (!first) first = slice.header;
        if (slice.header->patient_id != first->patient_id) return false;
    }
    return true;
}

std::string gaps_text(const StackShape& shape) {
    return fmt::format("{} of {} are missing, the longest stretch without one is {:.1f} mm.", shape.missing,
                       shape.slices + shape.missing, shape.largest_gap_mm);
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

/// Why a stack of enough slices is none to be analysed; judges the whole.
void judge_stack(Judgement& j, const std::vector<Candidate>& stack) {
    std::vector<const InstanceHeader*> headers;
    for (const Candidate& c : stack) headers.push_back(c.header);
    const double extent = extent_mm(stack), thickness = thickness_mm(headers);
    const StackShape shape = shape_of_stack(stack);
    if (extent < kLeastExtentMm || extent > kMostExtentMm)
        return refuse(j, kImplausibleExtent, fmt::format("They cover {:.0f} mm.", extent));
    if (shape.spacing_mm > kMostSpacingMm)
        return refuse(j, kImplausibleSpacing,
                      fmt::format("The slices are {:.1f} mm apart.", shape.spacing_mm));
    if (thickness > kMostThicknessMm)
        return refuse(j, kSlicesTooThick, fmt::format("They are {:.1f} mm thick.", thickness));
    if (shape.missing_share() > kMostMissingShare || shape.largest_gap_mm > kMostGapMm)
        return refuse(j, kGaps, gaps_text(shape));
    j.eligible = true;
}

int number(const std::string& text) {
    return text.empty() ? 1 << 30 : std::atoi(text.c_str());
}

/// What the choice among eligible series looks at, in the order of judge_study()'s rules.
struct Choice {
    std::tuple<bool, bool, double, std::ptrdiff_t, int, std::string> key;
    std::string name;

    Choice(const SeriesHeaders& series, const Judgement& judgement) {
        std::vector<const InstanceHeader*> usable;
        for (std::size_t i = 0; i < series.slices.size(); ++i)
            if (judgement.slices[i].reason_code.empty()) usable.push_back(series.slices[i].header);
        const InstanceHeader& first = *usable.front();
        const bool contrast =
            std::any_of(usable.begin(), usable.end(), [](const auto* h) { return has_contrast_agent(*h); });
        key = {has_sharp_kernel(first),
               contrast,
               std::abs(thickness_mm(usable) - 5),
               -static_cast<std::ptrdiff_t>(usable.size()),
               number(first.series_number),
               series.series_uid};
        name = first.series_number.empty() ? series.series_uid : "series " + first.series_number;
    }
    /// "Chosen: series 2, its kernel is softer."
    std::string before(const Choice& other) const {
        const char* why = std::get<0>(key) != std::get<0>(other.key)   ? "its kernel is softer"
                          : std::get<1>(key) != std::get<1>(other.key) ? "it is without contrast agent"
                          : std::get<2>(key) != std::get<2>(other.key) ? "its thickness is nearer to 5 mm"
                          : std::get<3>(key) != std::get<3>(other.key) ? "it has more slices"
                                                                       : "its number is lower";
        return "Chosen: " + name + ", " + why + ".";
    }
};

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
    std::vector<std::string> codes;
    const auto stack = stack_of(series, codes);
    for (std::size_t i = 0; i < codes.size(); ++i) j.slices[i].reason_code = codes[i];
    const int count = static_cast<int>(stack.size());
    if (!is_of_one_patient(series)) {
        refuse(j, kIdentityMismatch);
    } else if (count == 0) {
        const std::string code = codes.empty() ? std::string(kTooFewSlices) : main_reason(codes);
        const auto place = std::find(codes.begin(), codes.end(), kNotAxial) - codes.begin();
        refuse(j, code,
               code == kNotAxial ? off_axis(*series.slices[static_cast<std::size_t>(place)].header) : "");
    } else if (count < minimum_slices) {
        refuse(j, kTooFewSlices, fmt::format("{} can be used, {} are needed.", count, minimum_slices));
    } else {
        judge_stack(j, stack);
    }
    if (j.eligible && !series.by_pixels.code.empty()) {
        refuse(j, series.by_pixels.code);
        j.reason_text = series.by_pixels.text;
    }
    return j;
}

std::vector<Judgement> judge_study(std::span<const SeriesHeaders> study, int minimum_slices) {
    std::vector<Judgement> all;
    std::map<std::size_t, Choice> eligible;
    for (std::size_t i = 0; i < study.size(); ++i) {
        all.push_back(judge_headers(study[i], minimum_slices));
        if (all[i].eligible) eligible.emplace(i, Choice(study[i], all[i]));
    }
    const auto chosen = std::min_element(eligible.begin(), eligible.end(), [](const auto& a, const auto& b) {
        return a.second.key < b.second.key;
    });
    for (const auto& [i, choice] : eligible)
        if (i != chosen->first) refuse(all[i], kOtherSeriesChosen, chosen->second.before(choice));
    return all;
}

StackShape stack_shape(const SeriesHeaders& series) {
    std::vector<std::string> codes;
    return shape_of_stack(stack_of(series, codes));
}

std::vector<Reason> series_remarks(std::span<const InstanceHeader* const> slices) {
    std::vector<Reason> remarks;
    std::vector<SlicePlace> places;
    for (const InstanceHeader* h : slices)
        places.push_back({cranial_mm(*h), h->slice_thickness_mm.value_or(0)});
    const auto shape = shape_of(std::move(places));
    if (shape.missing > 0) remarks.push_back(reason(kGaps, gaps_text(shape)));
    const auto any = [&](auto is) {
        return std::any_of(slices.begin(), slices.end(), [&](const auto* h) { return is(*h); });
    };
    if (any(has_contrast_agent)) remarks.push_back(reason(kContrastAgent));
    if (any(has_sharp_kernel)) remarks.push_back(reason(kSharpKernel));
    return remarks;
}

std::string set_digest(std::vector<std::string> uids) {
    std::sort(uids.begin(), uids.end());
    std::string text;
    for (const auto& uid : uids) text += uid + "\n";
    return sha256_hex(text);
}

}  // namespace scopenode::workflows
