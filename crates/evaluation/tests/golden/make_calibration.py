"""Calibration, temperatures, abstention and tests of differences, by NumPy, SciPy, scikit-learn and torchmetrics.

    python make_calibration.py [seed] > calibration.json
"""

import json
import sys

import numpy as np
import torch
from scipy import optimize, stats
from sklearn.metrics import accuracy_score, log_loss
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

seed = int(sys.argv[1]) if len(sys.argv) > 1 else 7
rng = np.random.default_rng(seed)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def made(rows, classes, sharpness):
    logits = rng.normal(size=(rows, classes)) * 1.5
    labels = np.array([rng.choice(classes, p=p) for p in softmax(logits)])
    return labels, softmax(logits * sharpness)


def equal_mass(stated, seen, bins=15):
    order = np.argsort(stated, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return sum(len(p) * abs(stated[p].mean() - seen[p].mean()) for p in parts) / len(stated)


def torch_errors(labels, p):
    labels, q = torch.tensor(labels), torch.tensor(p)
    if p.shape[1] == 2:
        return [float(binary_calibration_error(q[:, 1], labels, 15, norm)) for norm in ("l1", "max")]
    return [float(multiclass_calibration_error(q, labels, p.shape[1], 15, norm)) for norm in ("l1", "max")]


def temperature(labels, p):
    z = np.log(p)
    nll = lambda log_t: log_loss(labels, softmax(z / np.exp(log_t)), labels=range(p.shape[1]))
    return float(np.exp(optimize.minimize_scalar(nll, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10}).x))


def risk_area(labels, p):
    order = np.argsort(-p.max(axis=1), kind="stable")
    wrong = (p.argmax(axis=1) != labels)[order]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(labels) + 1)))


calibration = []
for rows, classes, sharpness in [(400, 2, 2.0), (150, 2, 0.5), (300, 4, 1.7), (40, 3, 1.0), (9, 5, 3.0)]:
    labels, p = made(rows, classes, sharpness)
    stated, seen = (p[:, 1], labels == 1) if classes == 2 else (p.max(axis=1), p.argmax(axis=1) == labels)
    expected, largest = torch_errors(labels, p)
    calibration.append({
        "labels": labels.tolist(), "probabilities": p.tolist(),
        "expected_error": expected, "maximum_error": largest,
        "equal_mass": float(equal_mass(stated, seen)),
        "temperature": temperature(labels, p), "risk_area": risk_area(labels, p),
    })

differences = []
for rows in (8, 11, 13):
    labels, a = made(rows, 2, 1.0)
    b = softmax(np.log(a) + rng.normal(size=a.shape))
    tests = {}
    for name, metric in [
        ("accuracy", lambda q: accuracy_score(labels, q > 0.5)),
        ("log_loss", lambda q: log_loss(labels, np.c_[1 - q, q], labels=[0, 1])),
    ]:
        difference = lambda x, y: round(metric(y) - metric(x), 12)
        found = stats.permutation_test(
            (a[:, 1], b[:, 1]), difference, permutation_type="samples", n_resamples=np.inf, vectorized=False
        )
        tests[name] = {"difference": float(found.statistic), "p": float(found.pvalue)}
    right = [(q.argmax(axis=1) == labels) for q in (a, b)]
    only = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    exact = float(stats.binomtest(min(only), sum(only)).pvalue) if sum(only) else 1.0
    differences.append({
        "labels": labels.tolist(), "a": a.tolist(), "b": b.tolist(), "tests": tests, "only": only, "mcnemar": exact,
    })

json.dump({"calibration": calibration, "differences": differences}, sys.stdout)
print()
