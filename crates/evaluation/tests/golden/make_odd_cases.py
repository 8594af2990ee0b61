"""Write odd_cases.json: inputs at the edges of the metrics, and scikit-learn's and SciPy's answers to them.

    pip install scikit-learn scipy numpy
    python make_odd_cases.py odd_cases.json

Of the same shape as metrics.json. Every probability and score is a multiple of 1/64, so that the file holds exactly
the numbers that were scored, and equal scores are equal. A null is a value that is not defined.
"""
import json
import math
import sys
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics as sk

warnings.filterwarnings("ignore")


def number(value):
    value = float(value)
    return round(value, 12) if math.isfinite(value) else None


def precision_recall_f1(truth, predicted, average, **options):
    values = sk.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0, **options)
    return dict(zip(("precision", "recall", "f1"), map(number, values)))


def parts_of_64(rng, rows, classes):
    """Probabilities in 64ths that sum to 1 in each row."""
    return rng.multinomial(64, rng.dirichlet(np.ones(classes) * 2, rows)) / 64


def one_class(truth, probabilities):
    truth, probabilities = np.array(truth), np.array(probabilities, float)
    k = probabilities.shape[1]
    labels = list(range(k))
    predicted = probabilities.argmax(1)
    each = sk.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    expected = {
        "accuracy": number(sk.accuracy_score(truth, predicted)),
        "balanced_accuracy": number(sk.balanced_accuracy_score(truth, predicted)),
        "mcc": number(sk.matthews_corrcoef(truth, predicted)),
        "cohen_kappa": number(sk.cohen_kappa_score(truth, predicted)),
        "log_loss": number(sk.log_loss(truth, probabilities, labels=labels)),
        "brier": number(((probabilities - np.eye(k)[truth]) ** 2).sum(1).mean()),
        "confusion_matrix": sk.confusion_matrix(truth, predicted, labels=labels).tolist(),
        "per_class": {
            "precision": list(map(number, each[0])),
            "recall": list(map(number, each[1])),
            "f1": list(map(number, each[2])),
            "support": each[3].tolist(),
        },
    }
    for average in ("micro", "macro", "weighted"):
        expected[average] = precision_recall_f1(truth, predicted, average, labels=labels)
    every = len(set(truth.tolist())) == k
    if k == 2:
        expected["binary"] = precision_recall_f1(truth, predicted, "binary")
        positive = probabilities[:, 1]
        expected["roc_auc"] = number(sk.roc_auc_score(truth, positive)) if every else None
        expected["average_precision"] = number(sk.average_precision_score(truth, positive)) if every else None
    else:
        for how in ("ovr", "ovo"):
            for average in ("macro", "weighted"):
                area = lambda: sk.roc_auc_score(truth, probabilities, multi_class=how, average=average, labels=labels)
                expected[f"roc_auc_{how}_{average}"] = number(area()) if every else None
    return {"labels": truth.tolist(), "probabilities": probabilities.tolist(), "expected": expected}


def any_classes(truth, scores, threshold=0.5):
    truth, scores = np.array(truth, int), np.array(scores, float)
    predicted = (scores >= threshold).astype(int)
    expected = {
        "subset_accuracy": number(sk.accuracy_score(truth, predicted)),
        "hamming_loss": number(sk.hamming_loss(truth, predicted)),
    }
    for average in ("micro", "macro", "weighted", "samples"):
        expected[average] = precision_recall_f1(truth, predicted, average)
    for average in ("micro", "macro", "weighted"):
        expected[f"roc_auc_{average}"] = number(sk.roc_auc_score(truth, scores, average=average))
        expected[f"average_precision_{average}"] = number(sk.average_precision_score(truth, scores, average=average))
    return {"labels": truth.tolist(), "scores": scores.tolist(), "threshold": threshold, "expected": expected}


def one_number(targets, predictions):
    y, p = np.array(targets, float), np.array(predictions, float)
    expected = {
        "mse": number(sk.mean_squared_error(y, p)),
        "mae": number(sk.mean_absolute_error(y, p)),
        "r2": number(sk.r2_score(y, p)),
        "pearson": number(stats.pearsonr(y, p)[0]),
        "spearman": number(stats.spearmanr(y, p)[0]),
    }
    return {"targets": y.tolist(), "predictions": p.tolist(), "expected": expected}


def main(path):
    rng = np.random.default_rng(11)
    classification = []
    for rows, skill in ((20, 0.0), (60, 0.5), (200, 1.0)):  # a few scores, so that most are equal
        truth = rng.integers(0, 2, rows)
        steps = np.clip(np.round(rng.normal(size=rows) + skill * (2 * truth - 1)) + 4, 0, 8) / 8
        classification.append(one_class(truth, np.stack([1 - steps, steps], 1)))
    rare = (np.arange(50) == 31).astype(int)
    classification += [
        one_class(rare, parts_of_64(rng, 50, 2)),  # one positive row
        one_class(1 - rare, parts_of_64(rng, 50, 2)),  # one negative row
        one_class(rare, np.full((50, 2), 0.5)),  # nothing told apart
        one_class([0, 1, 0, 1], [[1, 0], [0, 1], [0, 1], [1, 0]]),  # certain, right and wrong
        one_class([0, 0, 0], [[0, 1], [0, 1], [0, 1]]),  # wrong throughout
        one_class([0, 0, 0], [[1, 0], [1, 0], [1, 0]]),  # one class throughout
        one_class(rng.integers(0, 3, 40), parts_of_64(rng, 40, 3)),
        one_class(rng.integers(0, 6, 120), parts_of_64(rng, 120, 6)),
        one_class(rng.integers(0, 3, 40), np.tile([0.5, 0.25, 0.25], (40, 1))),  # classes never predicted
        one_class([0, 1, 2], np.eye(3)),
        one_class(rng.integers(0, 2, 30), parts_of_64(rng, 30, 4)),  # classes without rows
    ]
    multilabel = []
    for rows, k in ((30, 3), (80, 7)):
        truth = rng.random((rows, k)) < 0.4
        multilabel.append(any_classes(truth, rng.integers(0, 9, (rows, k)) / 8))
    none, every = rng.random((25, 3)) < 0.4, rng.random((25, 3)) < 0.4
    none[:, 1] = False
    every[:, 2] = True
    multilabel += [
        any_classes(none, rng.integers(0, 9, (25, 3)) / 8),  # a label on no row
        any_classes(every, rng.integers(0, 9, (25, 3)) / 8),  # a label on every row
        any_classes(rng.random((25, 3)) < 0.4, np.zeros((25, 3))),  # nothing predicted
        any_classes(rng.random((25, 3)) < 0.4, np.ones((25, 3))),  # everything predicted
        any_classes(rng.random((25, 3)) < 0.4, rng.integers(0, 9, (25, 3)) / 8, threshold=0.75),
    ]
    steps = rng.integers(-3, 4, 60)
    regression = [
        one_number(steps, np.round(steps + rng.normal(size=60))),  # most ranks shared
        one_number(steps, -steps),
        one_number([1, 2], [5, 3]),
        one_number([1, 2], [3, 5]),
        one_number(1e6 + steps, 1e6 + steps + rng.integers(-2, 3, 60) / 4),  # a large mean
        one_number(steps * 1e-6, np.round(steps + rng.normal(size=60)) * 1e-6),  # small numbers
        one_number(steps, np.full(60, 0.1)),  # predictions constant
    ]
    with open(path, "w") as file:
        json.dump({"classification": classification, "multilabel": multilabel, "regression": regression}, file)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
