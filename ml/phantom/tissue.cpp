#include "ml/phantom/tissue.h"

#include <algorithm>
#include <cmath>

namespace scopenode::ml {
namespace {
float mix(float a, float b, float share) {
    return a + (b - a) * share;
}
std::size_t ix(int i) {
    return static_cast<std::size_t>(i);
}
/// Height of the tentorium above a point.
float tentorium(float x, float y) {
    return 5 - 0.45F * std::fabs(x) - 0.3F * (y - 30);
}
}  // namespace

Tissue::Tissue(const Head& head, const Bleeding& bleeding, float cell_mm, float layer_mm)
    : head_(head),
      bleeding_(bleeding),
      edge_(cell_mm / 2),
      layer_(layer_mm / 2),
      shift_(head.shift + bleeding.shift) {}

/// Share of a cell inside an edge that lies `mm` away.
float Tissue::soft(float mm, float edge) const {
    return std::clamp(mm / (2 * edge) + 0.5F, 0.0F, 1.0F);
}

Sample Tissue::at(float x, float y, float z) const {
    Place p{x, y, z, 0, 0, height_bin(z), 0, 0, 0};
    if (z <= kLowest || p.height >= kHeights) return {};
    p.angle = angle_bin(x, y);
    p.r = std::sqrt(x * x + y * y);
    const float skin = head_.r_skin[ix(p.angle)] * head_.s_skin[ix(p.height)];
    if (p.r > skin + edge_) return {};
    p.vault = (head_.r_in[ix(p.angle)] * head_.s_in[ix(p.height)] - p.r) * head_.normal_in[ix(p.height)];
    Sample sample = z > kVaultEnd ? vault(p) : base(p);
    const float share = soft(skin - p.r, edge_);
    sample.hu = mix(-1000, sample.hu, share);
    return sample;
}

float Tissue::bone(const Place& p) const {
    const float rin = head_.r_in[ix(p.angle)] * head_.s_in[ix(p.height)];
    const float rout = head_.r_out[ix(p.angle)] * head_.s_out[ix(p.height)];
    const float t = std::clamp((p.r - rin) / (rout - rin + 0.1F), 0.0F, 1.0F);
    return head_.bone_hu * (1 - 1.8F * t * (1 - t)) + 60 * head_.folds(p.x, p.y, p.z);
}

float Tissue::scalp(const Place& p) const {
    const float skin = head_.r_skin[ix(p.angle)] * head_.s_skin[ix(p.height)] - p.r;
    if (skin < 1.6F) return 35;
    const bool temporal = std::fabs(p.x) > 45 && p.z < 18 && p.y < 25;
    if (temporal && skin > 2.8F) return head_.muscle + 5 * head_.folds(p.x, p.y, p.z);
    return head_.fat + 25 * head_.texture(3 * p.x, 3 * p.y, p.z);
}

Sample Tissue::vault(Place p) const {
    const float normal = head_.normal_in[ix(p.height)];
    const float steep = std::sqrt(1 - normal * normal);
    p.depth = p.vault;
    const float share = soft(p.vault, edge_ * normal + layer_ * steep);
    Sample sample;
    sample.matter = Matter::kSkullAndSkin;
    if (share < 1) {
        const float outer = head_.normal_out[ix(p.height)];
        const float rout = head_.r_out[ix(p.angle)] * head_.s_out[ix(p.height)];
        const float bone_share =
            soft((rout - p.r) * outer, edge_ * outer + layer_ * std::sqrt(1 - outer * outer));
        sample.hu = mix(scalp(p), bone(p), bone_share);
        if (share <= 0) return sample;
    }
    const Sample brain = inside(p);
    if (share >= 1) return brain;
    sample.hu = mix(sample.hu, brain.hu, share);
    if (share > 0.6F) {
        sample.kind = brain.kind;
        sample.matter = brain.matter;
    }
    return sample;
}

bool Tissue::in_region(const Place& p) const {
    for (const auto& region : bleeding_.regions)
        if (region.radius2(p.x, p.y, p.z) < 1) return true;
    return false;
}

/// Layers between bone and brain; moves the place's depth past them.
bool Tissue::outside_brain(Place& p, Sample& sample) const {
    for (const auto& layer : bleeding_.layers) {
        const float thickness = layer.at(p.angle, p.z);
        if (thickness <= 0) continue;
        if (p.vault < thickness) {
            sample.hu =
                layer.hu + (layer.kind == kNone ? 1.0F : 3.0F) * head_.folds(0.5F * p.x, 0.5F * p.y, p.z);
            sample.kind = layer.kind;
            sample.matter = layer.kind == kNone ? Matter::kFluid : Matter::kBlood;
            return true;
        }
        p.vault -= thickness;
    }
    p.depth = std::min(p.depth, p.vault);
    return false;
}

/// Falx, tentorium, sinuses and what lies on the falx.
bool Tissue::midline(const Place& p, float tent, Sample& sample, float& fold) const {
    const float away = std::fabs(p.shifted);
    const float above = p.z - tent;
    const float ey = (p.y + 4) / 50, ez = p.z / 38;
    const bool falx = ey * ey + ez * ez > 1 && p.z > -8 && (p.y < 20 || above > 0);
    const auto dense = [&](float hu) {
        sample.hu = hu;
        sample.matter = Matter::kSkullAndSkin;
        return true;
    };
    const bool crown = p.y > 10 || p.z > 42;
    if (falx && crown && p.depth < 8 && away < 5.0F * (1 - p.depth / 9)) return dense(head_.sinus_hu);
    const float rim = std::hypot(p.shifted, p.y - 14);
    if (p.y > 14 && rim > 19) {
        if (std::fabs(above) < 4.5F && p.depth < 6 && p.y > 38) return dense(head_.sinus_hu);
        if (std::fabs(above) < 1.25F) return dense(mix(head_.grey, head_.tentorium_hu, 0.8F));
    }
    if (!falx) return false;
    fold = soft(head_.falx_half - away, edge_);
    for (const auto& layer : bleeding_.falx) {
        const float u = (p.y - layer.y) / layer.half_y, v = (p.z - layer.z) / layer.half_z;
        const float f = 1 - std::max(u * u, v * v);
        const float x = p.shifted * layer.side;
        if (f > 0 && x > 0 && x < head_.falx_half + layer.thickness * std::sqrt(f)) {
            sample.hu = layer.hu + 3 * head_.folds(0.5F * p.x, 0.5F * p.y, p.z);
            sample.kind = kSubdural;
            sample.matter = Matter::kBlood;
            return true;
        }
    }
    return false;
}

bool Tissue::blob(const Place& p, Sample& sample) const {
    float rim = 2;
    for (const auto& blob : bleeding_.blobs) {
        const float r2 = blob.shape.radius2(p.x, p.y, p.z);
        if (r2 > 3.5F) continue;
        const float r = std::sqrt(r2) * (1 + 0.13F * head_.folds(0.3F * p.x, 0.3F * p.y, 0.3F * p.z));
        if (r < 1) {
            sample.hu = blob.hu + 3 * head_.folds(0.5F * p.x, 0.5F * p.y, p.z);
            sample.kind = kIntraparenchymal;
            sample.matter = Matter::kBlood;
            return true;
        }
        rim = std::min(rim, (r - 1) * blob.shape.smallest() / blob.rim);
    }
    if (rim >= 1) return false;
    sample.hu = head_.white - 8 * (1 - rim * rim);
    sample.matter = Matter::kBrain;
    return true;
}

/// Share of subarachnoid fluid at a place outside the ventricles; `grey` becomes the share of cortex in the
/// rest.
float Tissue::fluid_share(const Place& p, float tent, float widening, float& grey) const {
    const float away = std::fabs(p.shifted);
    const float atrophy = head_.atrophy;
    float share = soft(0.3F + 1.5F * atrophy + widening - p.depth, edge_);
    grey = soft(3.6F + 1.5F * atrophy - p.depth, 0.8F);
    const bool below = p.y > 4 && p.z < tent;
    if (p.z < 8)
        for (const auto& cistern : head_.cisterns)
            share = std::max(share, soft(cistern.depth(p.shifted, p.y, p.z), 0.7F));
    if (p.z < -4 && p.z > -28) {
        const float stem = std::sqrt(p.shifted * p.shifted / 256 + (p.y - 14) * (p.y - 14) / 196);
        const float width = 0.06F + 0.12F * atrophy + 0.05F * widening;
        if (stem > 1 && stem < 1 + width && p.y > 8) share = std::max(share, 0.55F + 0.45F * atrophy);
    }
    if (below) {
        grey = 0.5F + 0.3F * head_.folds(p.x, p.y, p.z);
        return share;
    }
    // Between the hemispheres.
    const float ey = (p.y + 4) / 50, ez = p.z / 36;
    if (ey * ey + ez * ez > 1 && p.z > -14) {
        const float half = head_.falx_half + 0.3F + 1.1F * atrophy + 0.8F * widening;
        share = std::max(share, soft(half - away, edge_));
        grey = std::max(grey, soft(half + 3.2F - away, 0.8F));
    }
    // Sylvian fissure and insula.
    if (p.z > -22 && p.z < 24 && p.y < 40) {
        const float line = -18 + 0.85F * (p.z + 8) + 0.35F * (away - 36);
        const float wave = 1.5F * table_sine(0.3F * away);
        const float fissure = away > 33 ? std::fabs(p.y - line - wave) : 99.0F;
        const float bow = (p.y - line) * 0.05F;
        const float insula = std::fabs(p.y - line - 12) < 18 ? std::fabs(away - 35 - bow * bow * 6) : 99.0F;
        const float near = std::min(fissure, insula);
        share = std::max(share, soft(0.6F + 1.8F * atrophy + widening - near, 0.7F));
        grey = std::max(grey, soft(4.0F + atrophy + widening - near, 0.8F));
    }
    const float reach = 15 + 8 * atrophy;
    const float depth = p.z < 6 ? std::max(p.depth, 0.45F * p.vault) : p.depth;
    if (depth < reach) {
        const float sheet = std::fabs(head_.sulci(p.x, p.y, p.z)) * head_.sulci.scale_mm;
        const float fade = 1 - depth / reach;
        const float half = (0.25F + 1.1F * atrophy + widening) * std::min(1.0F, 2 * fade);
        share = std::max(share, soft(half - sheet, 0.8F) * std::min(1.0F, 0.55F + half * 0.4F));
        grey = std::max(grey, soft(3.0F + half - sheet, 0.8F) * std::min(1.0F, 4 * fade));
    }
    return share;
}

Sample Tissue::parenchyma(const Place& p, float tent) const {
    Sample sample;
    sample.matter = Matter::kBrain;
    const bool bleeds = !bleeding_.regions.empty() && in_region(p);
    float grey = 0;
    const float fluid = fluid_share(p, tent, bleeds ? bleeding_.widening : 0.0F, grey);
    const bool deep = std::fabs(p.shifted) < 36 && p.y > -34 && p.y < 28 && p.z > -10 && p.z < 20;
    for (std::size_t i = 0; deep && i < head_.deep_grey.size(); ++i)
        grey = std::max(grey, 0.9F * soft(head_.deep_grey[i].depth(p.shifted, p.y, p.z), 1));
    sample.hu = mix(head_.white, head_.grey, grey) + 0.8F * head_.texture(p.x, p.y, p.z);
    for (const auto& infarct : head_.infarcts)
        sample.hu =
            mix(sample.hu, head_.infarct_hu,
                soft(infarct.depth(p.x, p.y, p.z) + head_.folds(0.4F * p.x, 0.4F * p.y, 0.4F * p.z), 2));
    if (fluid <= 0) return sample;
    const float hu =
        bleeds ? bleeding_.subarachnoid_hu + 2 * head_.folds(0.5F * p.x, 0.5F * p.y, p.z) : head_.csf;
    sample.hu = mix(sample.hu, hu, fluid);
    if (fluid > 0.5F) {
        sample.matter = bleeds ? Matter::kBlood : Matter::kFluid;
        if (bleeds) sample.kind = kSubarachnoid;
    }
    return sample;
}

Sample Tissue::inside(Place p) const {
    Sample sample;
    const float lift = head_.cupping * 6 / (6 + std::max(0.0F, p.depth));
    const auto lifted = [&] {
        sample.hu += lift;
        return sample;
    };
    if (outside_brain(p, sample)) return lifted();
    const float reach = p.r / (head_.half_width + 8);
    p.shifted = p.x - shift_ * std::max(0.0F, 1 - reach * reach);
    const float tent = tentorium(p.shifted, p.y);
    float fold = 0;
    const bool dense = midline(p, tent, sample, fold);
    if (dense || fold > 0.5F) {
        if (!dense) sample = {head_.falx_hu, kNone, Matter::kSkullAndSkin};
        for (const auto& spot : head_.calcifications)
            if (spot.shape.radius2(p.shifted, p.y, p.z) < 1) sample.hu = spot.hu;
        return lifted();
    }
    const float away = std::fabs(p.shifted);
    const bool central = away < 50 && p.y > -50 && p.y < 66 && p.z < 38;
    float ventricle = -9;
    int group = 0;
    for (std::size_t i = 0; central && i < head_.ventricles.size(); ++i) {
        const float d = head_.ventricles[i].shape.depth(p.shifted, p.y, p.z);
        if (d <= ventricle) continue;
        ventricle = d;
        group = head_.ventricles[i].group;
    }
    if (central)
        for (const auto& spot : head_.calcifications)
            if (spot.shape.radius2(p.shifted, p.y, p.z) < 1) {
                sample.hu = spot.hu;
                sample.matter = Matter::kFluid;
                return lifted();
            }
    if (!bleeding_.blobs.empty() && blob(p, sample)) return lifted();
    const float share = soft(ventricle, 0.8F);
    if (share < 1) sample = parenchyma(p, tent);
    sample.hu = mix(sample.hu, head_.falx_hu, fold);
    if (share > 0) {
        const bool blood = p.y > bleeding_.level[ix(group)];
        sample.hu = mix(share < 1 ? sample.hu : 0.0F, blood ? bleeding_.ventricle_hu : head_.csf, share);
        if (share > 0.5F) {
            sample.kind = blood ? kIntraventricular : kNone;
            sample.matter = blood ? Matter::kBlood : Matter::kFluid;
        }
    }
    return lifted();
}

}  // namespace scopenode::ml
