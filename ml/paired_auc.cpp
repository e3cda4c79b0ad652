#include "ml/paired_auc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace scopenode::ml {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// One model's studies from the lowest score to the highest; `ends[i]`: item i is the last of its ties.
struct Ranking {
    std::vector<std::size_t> order;
    std::vector<char> ends;
};

Ranking ranking_of(const std::vector<double>& scores, std::size_t n) {
    Ranking out;
    out.order.resize(n);
    std::iota(out.order.begin(), out.order.end(), std::size_t{0});
    std::sort(out.order.begin(), out.order.end(), [&](std::size_t a, std::size_t b) {
        return scores[a] != scores[b] ? scores[a] < scores[b] : a < b;
    });
    out.ends.resize(n);
    for (std::size_t i = 0; i < n; ++i)
        out.ends[i] = i + 1 == n || scores[out.order[i]] != scores[out.order[i + 1]] ? 1 : 0;
    return out;
}

/// Area of weighted studies in one pass; NaN when a class has no weight.
double weighted_area(const Ranking& ranking, const std::vector<char>& truth,
                     const std::vector<std::uint32_t>& patient, const std::vector<std::uint32_t>& weight) {
    double positives = 0, negatives = 0, won = 0, tied_positives = 0, tied_negatives = 0;
    for (std::size_t i = 0; i < ranking.order.size(); ++i) {
        const std::size_t study = ranking.order[i];
        (truth[study] ? tied_positives : tied_negatives) += weight[patient[study]];
        if (!ranking.ends[i]) continue;
        won += tied_positives * (negatives + 0.5 * tied_negatives);
        positives += tied_positives;
        negatives += tied_negatives;
        tied_positives = tied_negatives = 0;
    }
    return positives > 0 && negatives > 0 ? won / (positives * negatives) : kNaN;
}

/// For each study the share of the other class that it is on the right side of (DeLong's V10 and V01).
std::vector<double> placements(const Ranking& ranking, const std::vector<char>& truth, double positives,
                               double negatives) {
    std::vector<double> out(ranking.order.size());
    double seen_positives = 0, seen_negatives = 0;
    for (std::size_t begin = 0; begin < out.size();) {
        std::size_t end = begin;
        double tied_positives = 0, tied_negatives = 0;
        do {
            (truth[ranking.order[end]] ? tied_positives : tied_negatives) += 1;
        } while (!ranking.ends[end++]);
        for (; begin < end; ++begin) {
            const std::size_t study = ranking.order[begin];
            out[study] = truth[study] ? (seen_negatives + 0.5 * tied_negatives) / negatives
                                      : (positives - seen_positives - 0.5 * tied_positives) / positives;
        }
        seen_positives += tied_positives;
        seen_negatives += tied_negatives;
    }
    return out;
}

/// What each patient adds to an area's deviation: by its positive and by its negative studies.
struct Parts {
    std::vector<double> positive, negative;
};

Parts parts_of(const std::vector<double>& placed, double area, const PairedScores& s,
               const AucDifference& counts) {
    const auto patients = static_cast<std::size_t>(counts.patients);
    Parts out{std::vector<double>(patients), std::vector<double>(patients)};
    for (std::size_t i = 0; i < placed.size(); ++i) {
        if (s.truth[i])
            out.positive[s.patient[i]] += (placed[i] - area) / static_cast<double>(counts.positives);
        else
            out.negative[s.patient[i]] += (placed[i] - area) / static_cast<double>(counts.negatives);
    }
    return out;
}

double of_few(long count) {
    return count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : kNaN;
}

/// Obuchowski's covariance of two areas; a single patient in a class has none (NaN).
double covariance(const Parts& a, const Parts& b, const AucDifference& counts) {
    double positive = 0, negative = 0, both = 0;
    for (std::size_t k = 0; k < a.positive.size(); ++k) {
        positive += a.positive[k] * b.positive[k];
        negative += a.negative[k] * b.negative[k];
        both += a.positive[k] * b.negative[k] + a.negative[k] * b.positive[k];
    }
    return of_few(counts.positive_patients) * positive + of_few(counts.negative_patients) * negative +
           of_few(counts.patients) * both;
}

double effective_degrees(const Parts& parts) {
    double squares = 0, fourths = 0;
    for (std::size_t k = 0; k < parts.positive.size(); ++k) {
        const double square = std::pow(parts.positive[k] + parts.negative[k], 2);
        squares += square;
        fourths += square * square;
    }
    return fourths > 0 ? std::max(1.0, squares * squares / fourths - 1) : 1;
}

void count(const PairedScores& s, std::size_t n, AucDifference& out) {
    std::vector<char> positive, negative;
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t patient = s.patient[i];
        if (patient >= positive.size()) {
            positive.resize(patient + 1);
            negative.resize(patient + 1);
        }
        (s.truth[i] ? positive : negative)[patient] = 1;
        (s.truth[i] ? out.positives : out.negatives) += 1;
    }
    out.studies = static_cast<long>(n);
    out.patients = static_cast<long>(positive.size());
    out.positive_patients = std::count(positive.begin(), positive.end(), 1);
    out.negative_patients = std::count(negative.begin(), negative.end(), 1);
}

/// Standard deviation of the difference over resamples of the patients. A resample without one of the classes
/// has no area and is drawn again.
double bootstrap_error(const PairedScores& s, const Ranking& first, const Ranking& second,
                       std::uint32_t patients, int resamples, std::uint64_t seed) {
    std::mt19937_64 draw(seed);
    std::vector<std::uint32_t> weight(patients);
    double mean = 0, squares = 0;
    int done = 0;
    for (int attempt = 0; done < resamples && attempt < 10 * resamples; ++attempt) {
        std::fill(weight.begin(), weight.end(), 0);
        // The high half times the count, shifted: the same numbers with every standard library.
        for (std::uint32_t i = 0; i < patients; ++i) ++weight[((draw() >> 32) * patients) >> 32];
        const double difference = weighted_area(second, s.truth, s.patient, weight) -
                                  weighted_area(first, s.truth, s.patient, weight);
        if (std::isnan(difference)) continue;
        ++done;
        const double step = difference - mean;
        mean += step / done;
        squares += step * (difference - mean);
    }
    return done > 1 ? std::sqrt(squares / (done - 1)) : kNaN;
}

/// Continued fraction of the incomplete beta function (Lentz).
double beta_fraction(double x, double a, double b) {
    constexpr double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (std::abs(d) < tiny ? tiny : d);
    double out = d;
    for (int m = 1; m < 500; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double change = 1;
        for (const double term : {even, odd}) {
            d = 1 + term * d;
            d = 1 / (std::abs(d) < tiny ? tiny : d);
            c = 1 + term / c;
            c = std::abs(c) < tiny ? tiny : c;
            change = c * d;
            out *= change;
        }
        if (std::abs(change - 1) < 1e-15) break;
    }
    return out;
}

/// P(T > t) for t >= 0.
double student_tail(double t, double degrees) {
    if (degrees >= 1e6) return 0.5 * std::erfc(t / std::sqrt(2.0));
    const double x = degrees / (degrees + t * t), a = degrees / 2, b = 0.5;
    const double scale =
        std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
    // The fraction converges fast on one side of the mean only.
    const double cumulative = x < (a + 1) / (a + b + 2) ? scale * beta_fraction(x, a, b) / a
                                                        : 1 - scale * beta_fraction(1 - x, b, a) / b;
    return 0.5 * cumulative;
}

}  // namespace

double student_quantile(double p, double degrees) {
    if (!(p > 0 && p < 1 && degrees > 0)) return kNaN;
    const double tail = std::min(p, 1 - p);
    if (tail == 0.5) return 0;
    double low = 0, high = 1;
    while (student_tail(high, degrees) > tail && high < 1e30) high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
        const double middle = (low + high) / 2;
        (student_tail(middle, degrees) > tail ? low : high) = middle;
    }
    return p < 0.5 ? -high : high;
}

double hanley_mcneil_error(double area, double positives, double negatives) {
    const double q1 = area / (2 - area), q2 = 2 * area * area / (1 + area), square = area * area;
    const double variance =
        (area * (1 - area) + (positives - 1) * (q1 - square) + (negatives - 1) * (q2 - square)) /
        (positives * negatives);
    return std::sqrt(std::max(0.0, variance));
}

double AucDifference::error() const {
    // Written so that no number stays no number.
    return delong_error >= bootstrap_error ? delong_error : std::isnan(delong_error) ? kNaN : bootstrap_error;
}

double AucDifference::low(double level) const {
    return difference - student_quantile(1 - level, degrees) * error();
}

double AucDifference::high(double level) const {
    return difference + student_quantile(1 - level, degrees) * error();
}

double AucDifference::low_beside_margin(double level, double margin) const {
    const double plain = low(level);
    const auto m = static_cast<double>(positive_patients), n = static_cast<double>(negative_patients);
    const double first_then = std::min(1.0, (first + second + margin) / 2);
    const double e1 = hanley_mcneil_error(first_then, m, n);
    const double e2 = hanley_mcneil_error(std::max(0.0, first_then - margin), m, n);
    const double then = std::sqrt(std::max(0.0, e1 * e1 + e2 * e2 - 2 * correlation * e1 * e2));
    const double wide = difference - student_quantile(1 - level, std::min(m, n) - 1) * then;
    return std::isnan(plain) || std::isnan(wide) ? kNaN : std::min(plain, wide);
}

double AucDifference::second_low(double level) const {
    const double few = static_cast<double>(std::min(positive_patients, negative_patients)) - 1;
    return second - student_quantile(1 - level, few) * second_error;
}

AucDifference auc_difference(const PairedScores& s, int resamples, std::uint64_t seed) {
    AucDifference out;
    const std::size_t n = std::min({s.first.size(), s.second.size(), s.truth.size(), s.patient.size()});
    count(s, n, out);
    out.first = out.second = out.difference = out.bootstrap_error = out.delong_error = kNaN;
    out.first_error = out.second_error = kNaN;
    const auto is_nan = [](double x) { return std::isnan(x); };
    if (out.positives == 0 || out.negatives == 0 || std::any_of(s.first.begin(), s.first.end(), is_nan) ||
        std::any_of(s.second.begin(), s.second.end(), is_nan))
        return out;
    const Ranking first = ranking_of(s.first, n), second = ranking_of(s.second, n);
    const std::vector<std::uint32_t> once(static_cast<std::size_t>(out.patients), 1);
    out.first = weighted_area(first, s.truth, s.patient, once);
    out.second = weighted_area(second, s.truth, s.patient, once);
    out.difference = out.second - out.first;
    const auto m = static_cast<double>(out.positives), k = static_cast<double>(out.negatives);
    const Parts a = parts_of(placements(first, s.truth, m, k), out.first, s, out);
    const Parts b = parts_of(placements(second, s.truth, m, k), out.second, s, out);
    Parts apart = b;
    for (std::size_t i = 0; i < a.positive.size(); ++i) {
        apart.positive[i] -= a.positive[i];
        apart.negative[i] -= a.negative[i];
    }
    const auto root = [](double x) { return std::isnan(x) ? kNaN : std::sqrt(std::max(0.0, x)); };
    out.first_error = root(covariance(a, a, out));
    out.second_error = root(covariance(b, b, out));
    out.delong_error = root(covariance(apart, apart, out));
    const double errors = out.first_error * out.second_error;
    out.correlation = errors > 0 ? std::clamp(covariance(a, b, out) / errors, -1.0, 1.0) : 0;
    out.degrees = effective_degrees(apart);
    out.bootstrap_error =
        bootstrap_error(s, first, second, static_cast<std::uint32_t>(out.patients), resamples, seed);
    return out;
}

}  // namespace scopenode::ml
