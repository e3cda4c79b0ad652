#!/usr/bin/env python3
"""Curves and paired areas by numpy, each as its definition says: every pair and every threshold is looked at.

usage: curves_reference.py CASES.json FIGURES.json
CASES: a list of {"first": [..], "second": [..], "truth": [..], "patient": [..]}
FIGURES: a list of {"roc": [[x, y]..], "pr": [[x, y]..] of the first, "first", "second", "difference",
"first_error", "second_error", "delong_error", "bootstrap_error"}
"""
import json
import sys

import numpy as np


def kernel(score, t):
    """psi of DeLong: 1 where the positive is above the negative, 1/2 where they tie."""
    apart = score[t == 1][:, None] - score[t == 0][None, :]
    return (apart > 0) + 0.5 * (apart == 0)


def roc(score, t):
    cuts = [np.inf] + sorted(set(score.tolist()), reverse=True)
    return [[float((score[t == 0] >= c).mean()), float((score[t == 1] >= c).mean())] for c in cuts]


def precision_recall(score, t):
    cuts = sorted(set(score.tolist()), reverse=True)
    return [[float((score[t == 1] >= c).mean()), float(t[score >= c].mean())] for c in cuts]


def clustered_variance(psi, t, patient):
    """Obuchowski 1997, section 2: sums of squares between clusters, written out patient by patient."""
    m, n = psi.shape
    area, v10, v01 = psi.mean(), psi.mean(axis=1), psi.mean(axis=0)
    positives, negatives = patient[t == 1], patient[t == 0]
    everybody = sorted(set(patient.tolist()))
    i10, i01, i = len(set(positives.tolist())), len(set(negatives.tolist())), len(everybody)
    s10 = s01 = s11 = 0.0
    for one in everybody:
        ours, theirs = v10[positives == one], v01[negatives == one]
        a, b = ours.sum() - len(ours) * area, theirs.sum() - len(theirs) * area
        s10, s01, s11 = s10 + a * a, s01 + b * b, s11 + a * b
    s10 *= i10 / ((i10 - 1) * m)
    s01 *= i01 / ((i01 - 1) * n)
    s11 *= i / (i - 1)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


def bootstrap(first, second, t, patient, draws=3000):
    random = np.random.default_rng(1)
    everybody = sorted(set(patient.tolist()))
    rows = [np.flatnonzero(patient == one) for one in everybody]
    out = []
    while len(out) < draws:
        picked = np.concatenate([rows[k] for k in random.integers(0, len(rows), len(rows))])
        truth = t[picked]
        if 0 < truth.sum() < len(truth):
            out.append(kernel(second[picked], truth).mean() - kernel(first[picked], truth).mean())
    return float(np.std(out, ddof=1))


def figures(case):
    first, second = np.array(case["first"], dtype=float), np.array(case["second"], dtype=float)
    t, patient = np.array(case["truth"]), np.array(case["patient"])
    a, b = kernel(first, t), kernel(second, t)
    return {"roc": roc(first, t), "pr": precision_recall(first, t), "first": a.mean(), "second": b.mean(),
            "difference": b.mean() - a.mean(), "first_error": np.sqrt(clustered_variance(a, t, patient)),
            "second_error": np.sqrt(clustered_variance(b, t, patient)),
            "delong_error": np.sqrt(clustered_variance(b - a, t, patient)),
            "bootstrap_error": bootstrap(first, second, t, patient)}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    json.dump([figures(case) for case in json.load(open(sys.argv[1]))], open(sys.argv[2], "w"))
