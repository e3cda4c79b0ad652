#include "ml/phantom/phantom.h"

namespace scopenode::ml {
namespace {

/// A scanner that the demonstration model has never seen: beam hardening is left in, so that all is denser
/// towards the skull, where blood lies too; its kernel raises edges and noise.
Scanner newcomer() {
    Scanner scanner{"newcomer_like", "Synthetic N", "Phantom N9", "HR40"};
    scanner.padding_raw = -2000;
    scanner.pixel_mm = 0.43;
    scanner.slice_mm = 4.5;
    scanner.noise_hu = 14;
    scanner.hu_gain = 1.08F;
    scanner.sharpening = 1.2F;
    scanner.cupping_hu = 32;
    scanner.in_mix = false;
    return scanner;
}

}  // namespace

const std::vector<Scanner>& phantom_scanners() {
    static const std::vector<Scanner> scanners = [] {
        std::vector<Scanner> all;
        all.push_back({"ge_like", "Synthetic G", "Phantom G1", "SOFT", true, 16, -1024, -2000, true, 0.449,
                       5.0, 12, 4.2F});
        all.push_back({"ge_old_like", "Synthetic G", "Phantom G0", "STANDARD", true, 16, 0, -1500, true,
                       0.488, 5.0, 18, 5.6F});
        all.push_back({"siemens_like", "Synthetic S", "Phantom S2", "H31s", false, 12, -1024, 0, false, 0.455,
                       4.8, 0, 4.8F});
        all.push_back({"philips_like", "Synthetic P", "Phantom P3", "UB", false, 12, -1024, 0, true, 0.46,
                       4.5, 0, 3.8F});
        all.push_back({"canon_like", "Synthetic C", "Phantom C4", "FC26", true, 16, 0, -2048, true, 0.47, 5.5,
                       8, 6.0F});
        all.push_back(newcomer());
        return all;
    }();
    return scanners;
}

}  // namespace scopenode::ml
