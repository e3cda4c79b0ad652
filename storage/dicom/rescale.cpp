#include "storage/dicom/rescale.h"

namespace scopenode::storage {

Rescale rescale_of(bool rsna_rescale_quirk) {
    return rsna_rescale_quirk ? Rescale::kRsnaQuirk : Rescale::kAsTold;
}

bool has_rsna_quirk(int bits_stored, bool is_signed, double intercept) {
    return bits_stored == 12 && !is_signed && intercept > -100;
}

int without_rsna_quirk(int value) {
    const int moved = value + 1000;
    return moved >= 4096 ? moved - 4096 : moved;
}

}  // namespace scopenode::storage
