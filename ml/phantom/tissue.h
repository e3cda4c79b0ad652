#pragma once
#include <cstdint>

#include "ml/phantom/bleeding.h"

namespace scopenode::ml {

enum class Matter : std::uint8_t { kOutside, kSkullAndSkin, kBrain, kFluid, kBlood };

struct Sample {
    float hu = -1000;
    std::uint8_t kind = kNone;
    Matter matter = Matter::kOutside;
};

/// What lies at a point of a head with its bleeding. Thread-safe; keeps references to both.
class Tissue {
  public:
    /// Edges are blurred over a cell of `cell_mm` and a layer of `layer_mm`, so that samples hold partial
    /// volumes.
    Tissue(const Head& head, const Bleeding& bleeding, float cell_mm, float layer_mm);
    Sample at(float x, float y, float z) const;

  private:
    struct Place {
        float x, y, z, r;
        int angle, height;
        float vault;    ///< depth below the inner table of the vault
        float depth;    ///< depth inside the cranial cavity
        float shifted;  ///< x after the midline shift
    };

    Sample vault(Place place) const;
    Sample base(Place place) const;
    float bone(const Place& place) const;
    float scalp(const Place& place) const;
    float face(const Place& place) const;
    Sample inside(Place place) const;
    bool outside_brain(Place& place, Sample& sample) const;
    bool midline(const Place& place, float tent, Sample& sample, float& fold) const;
    bool blob(const Place& place, Sample& sample) const;
    Sample parenchyma(const Place& place, float tent) const;
    float fluid_share(const Place& place, float tent, float widening, float& grey) const;
    bool in_region(const Place& place) const;
    float soft(float mm, float edge) const;

    const Head& head_;
    const Bleeding& bleeding_;
    float edge_, layer_, shift_;
};

}  // namespace scopenode::ml
