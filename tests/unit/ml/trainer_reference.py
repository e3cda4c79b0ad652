#!/usr/bin/env python3
"""The trainer's losses and its Platt fit by numpy alone, each from its definition and none as ml/torch does it.

usage: trainer_reference.py CASES.json FIGURES.json
CASES: {"losses": [{"logits", "before": [[6 numbers]...], "truth": [[6 of 0, 1, null]...], "weights": [number...]}],
        "studies": {"scores": [number...], "truth": [0 or 1...]}}
FIGURES: {"losses": [{"rsna", "paper_eq3", "divergence"}], "platt": [scale, offset]}
"""
import json
import sys

import numpy as np

LABEL_WEIGHTS = np.array([2.0, 1, 1, 1, 1, 1])


def probability(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))


def losses(case):
    p, before = probability(case["logits"]), probability(case["before"])
    truth = np.array([[np.nan if t is None else t for t in row] for row in case["truth"]], dtype=float)
    slices = np.array(case["weights"], dtype=float)
    total, share, eq3, rows = 0.0, 0.0, 0.0, 0
    for n in range(len(p)):
        known = [k for k in range(6) if not np.isnan(truth[n, k])]
        each = {k: -np.log(p[n, k] if truth[n, k] == 1 else 1 - p[n, k]) for k in known}
        total += slices[n] * sum(LABEL_WEIGHTS[k] * each[k] for k in known)
        share += sum(LABEL_WEIGHTS[k] for k in known)
        if known:
            rows += 1
            eq3 += slices[n] * np.mean(list(each.values())) * 6
    kl = before * np.log(before / p) + (1 - before) * np.log((1 - before) / (1 - p))
    return {"rsna": total / share, "paper_eq3": eq3 / rows,
            "divergence": float(np.average(kl, axis=1, weights=LABEL_WEIGHTS).mean())}


def platt(scores, truth):
    """Cross entropy to Platt's softened targets, plus a quarter of (scale - 1)^2, by a grid that shrinks around its
    best point: no derivatives."""
    scores, truth = np.array(scores), np.array(truth)
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    x = np.log(clipped / (1 - clipped))
    high = (truth.sum() + 1) / (truth.sum() + 2)
    low = 1 / ((1 - truth).sum() + 2)
    target = np.where(truth == 1, high, low)

    def cost(scale, offset):
        line = scale[:, None] * x + offset[:, None]
        entropy = np.logaddexp(0, -line) * target + np.logaddexp(0, line) * (1 - target)
        return entropy.sum(1) + 0.25 * (scale - 1) ** 2

    scale, offset, reach = 1.0, 0.0, 8.0
    while reach > 1e-10:
        s, o = [g.ravel() for g in np.meshgrid(scale + reach * np.linspace(-1, 1, 21), offset + reach * np.linspace(-1, 1, 21))]
        best = np.argmin(cost(s, o))
        scale, offset = s[best], o[best]
        reach *= 0.7
    return [float(scale), float(offset)]


def main(cases, figures):
    case = json.load(open(cases))
    out = {"losses": [losses(c) for c in case["losses"]],
           "platt": platt(case["studies"]["scores"], case["studies"]["truth"])}
    json.dump(out, open(figures, "w"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
