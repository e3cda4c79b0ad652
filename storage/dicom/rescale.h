#pragma once

namespace scopenode::storage {

/// How stored values become HU.
enum class Rescale {
    kAsTold,     ///< by slope and intercept of the header
    kRsnaQuirk,  ///< the same, but values of headers with the quirk are turned round first; for data sets
                 ///< only
};

/// `rsna_rescale_quirk`: as settings and options of commands have it.
Rescale rescale_of(bool rsna_rescale_quirk);

/// The header of slices of RSNA 2019 whose signed values were stored in 12 unsigned bits: air at -1000 HU
/// stands at 3096. A scanner may write the same header and mean it, so nothing is turned round unless asked
/// for.
bool has_rsna_quirk(int bits_stored, bool is_signed, double intercept);

/// Such a stored value as one to which kQuirkIntercept belongs.
int without_rsna_quirk(int value);
inline constexpr double kQuirkIntercept = -1000;

}  // namespace scopenode::storage
