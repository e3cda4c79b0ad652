#!/usr/bin/env python3
"""Figures of merit by numpy, each as its definition says and none as ml/metrics.cpp does it.

usage: metrics_reference.py CASES.json FIGURES.json
CASES: a list of {"probabilities": [[6 numbers]...], "truth": [[6 of 0, 1, null]...], "threshold": t}
FIGURES: a list of {"labels": [{figure: number or null} x 6], "all": {figure: number}}
"""
import json
import sys

import numpy as np

WEIGHTS = np.array([2.0, 1, 1, 1, 1, 1])
BINS = 15
Z = 1.959963984540054


def area(p, t):
    """Mann-Whitney: every positive against every negative."""
    difference = p[t == 1][:, None] - p[t == 0][None, :]
    return ((difference > 0).sum() + 0.5 * (difference == 0).sum()) / difference.size if difference.size else None


def average_precision(p, t):
    if t.sum() == 0:
        return None
    total, before = 0.0, 0.0
    for cut in sorted(set(p.tolist()), reverse=True):
        said = p >= cut
        precision, recall = t[said].mean(), t[said].sum() / t.sum()
        total += (recall - before) * precision
        before = recall
    return total


def wilson(hits, of):
    """The two roots of (x - hits/of)^2 = z^2 x (1 - x) / of."""
    if of == 0:
        return [None, None]
    share = hits / of
    roots = np.roots([1 + Z * Z / of, -(2 * share + Z * Z / of), share * share])
    return sorted(np.clip(np.real(roots), 0, 1).tolist())


def calibration_error(p, t):
    order = np.argsort(p, kind="stable")
    p, t = p[order], t[order].astype(float)
    for value in set(p.tolist()):
        t[p == value] = t[p == value].mean()
    n = len(p)
    bins = np.arange(n) * min(BINS, n) // n
    return sum(np.abs(p[bins == b].mean() - t[bins == b].mean()) * (bins == b).sum() for b in set(bins)) / n


def losses(p, t):
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return -np.where(t == 1, np.log(p), np.log1p(-p))


def label_figures(p, t, threshold):
    said = p >= threshold
    positives, negatives = int((t == 1).sum()), int((t == 0).sum())
    hits, rejections = int((said & (t == 1)).sum()), int((~said & (t == 0)).sum())
    return {"auroc": area(p, t), "auprc": average_precision(p, t), "log_loss": losses(p, t).mean(),
            "brier": ((p - t) ** 2).mean(), "ece": calibration_error(p, t),
            "sensitivity": [hits, positives] + wilson(hits, positives),
            "specificity": [rejections, negatives] + wilson(rejections, negatives)}


def all_figures(p, t, threshold):
    each, known = losses(p, np.nan_to_num(t)), ~np.isnan(t)
    seen = known.any(axis=1)
    def mean(weights):
        w = known * weights
        return ((w * each).sum(axis=1)[seen] / w.sum(axis=1)[seen]).mean()
    right = np.array([((p[known[:, k], k] >= threshold) == (t[known[:, k], k] == 1)).mean() for k in range(6)])
    prevalence = np.array([t[known[:, k], k].mean() for k in range(6)])
    constant = losses(np.tile(prevalence, (len(p), 1)), np.nan_to_num(t))
    w = known * WEIGHTS
    return {"weighted_log_loss": mean(WEIGHTS), "mean_log_loss": mean(np.ones(6)), "paper_eq3": 6 * mean(np.ones(6)),
            "weighted_accuracy": (WEIGHTS * right).sum() / 7, "mean_accuracy": right.mean(),
            "all_negative_weighted_accuracy": (WEIGHTS * (1 - prevalence)).sum() / 7,
            "prevalence_log_loss": ((w * constant).sum(axis=1)[seen] / w.sum(axis=1)[seen]).mean(),
            "prevalence_brier": (prevalence * (1 - prevalence)).mean()}


def main(cases, figures):
    out = []
    for case in json.load(open(cases)):
        p = np.array(case["probabilities"], dtype=float)
        t = np.array([[np.nan if x is None else x for x in row] for row in case["truth"]], dtype=float)
        labels = []
        for k in range(6):
            known = ~np.isnan(t[:, k])
            labels.append(label_figures(p[known, k], t[known, k].astype(int), case["threshold"]))
        out.append({"labels": labels, "all": all_figures(p, t, case["threshold"])})
    json.dump(out, open(figures, "w"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
