#include "ml/phantom/phantom.h"

namespace scopenode::ml {

const std::vector<Scanner>& phantom_scanners() {
    static const std::vector<Scanner> scanners = [] {
        std::vector<Scanner> all;
        all.push_back(
            {"ge_like", "Synthetic G", "Phantom G1", "SOFT", true, 16, -1024, -2000, true, 0.449, 5.0, 12});
        all.push_back({"ge_old_like", "Synthetic G", "Phantom G0", "STANDARD", true, 16, 0, -1500, true,
                       0.488, 5.0, 18});
        all.push_back(
            {"siemens_like", "Synthetic S", "Phantom S2", "H31s", false, 12, -1024, 0, false, 0.455, 4.8, 0});
        all.push_back(
            {"philips_like", "Synthetic P", "Phantom P3", "UB", false, 12, -1024, 0, true, 0.46, 4.5, 0});
        all.push_back(
            {"canon_like", "Synthetic C", "Phantom C4", "FC26", true, 16, 0, -2048, true, 0.47, 5.5, 8});
        return all;
    }();
    return scanners;
}

}  // namespace scopenode::ml
