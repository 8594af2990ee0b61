#!/usr/bin/env python3
"""Write metrics.json: inputs and the reference libraries' answers, to 10 decimals.

    pip install scikit-learn seqeval torchmetrics scipy numpy torch
    python scripts/golden/make_metrics.py metrics.json [--seed 7]

Sections:
    classification  scikit-learn: accuracy, precision/recall/F1 (binary, micro, macro, weighted, per class),
                    MCC, balanced accuracy, Cohen's kappa, log loss, Brier, ROC AUC, average precision
    multilabel      scikit-learn: F1 (micro, macro, weighted, samples), subset accuracy, Hamming loss, AUC
    regression      MSE, MAE, R2, Pearson, Spearman (scipy)
    entities        seqeval: precision/recall/F1 (micro, macro, weighted, per type), default mode and strict IOB2
    squad           torchmetrics' port of the official script: exact match and F1, in percent
    factoid         BioASQ factoid QA: strict accuracy, lenient accuracy (top 5), MRR (top 5)
    retrieval       MRR@10, NDCG@10, Recall@k, HitRate@k over ranked lists with one or more relevant ids
A value of null means that the metric is not defined there (one class only, no entities ...): a port
reports it as undefined, never as a number.
"""
import argparse, json, math, warnings
import numpy as np
from sklearn import metrics as sk
from scipy import stats
warnings.filterwarnings("ignore")


def num(x):
    x = float(x)
    return None if math.isnan(x) or math.isinf(x) else round(x, 10)


def attempt(f, *a, **k):
    try:
        return num(f(*a, **k))
    except ValueError:
        return None


def prf(y, p, average, **k):
    a, b, c, _ = sk.precision_recall_fscore_support(y, p, average=average, zero_division=0, **k)
    return {"precision": num(a), "recall": num(b), "f1": num(c)}


def classification(rng, n, k, skill, absent=False, ties=False):
    prior = rng.dirichlet(np.ones(k) * 2)
    if absent:
        prior[-1] = 0
        prior /= prior.sum()
    y = rng.choice(k, n, p=prior)
    logits = rng.normal(size=(n, k)) + skill * np.eye(k)[y]
    if ties:
        logits = np.round(logits)
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = probs.argmax(1)
    labels = list(range(k))
    per = sk.precision_recall_fscore_support(y, p, labels=labels, zero_division=0)
    out = {"accuracy": num(sk.accuracy_score(y, p)), "balanced_accuracy": num(sk.balanced_accuracy_score(y, p)),
           "mcc": num(sk.matthews_corrcoef(y, p)), "cohen_kappa": attempt(sk.cohen_kappa_score, y, p),
           "log_loss": num(sk.log_loss(y, probs, labels=labels)),
           "brier": num(((probs - np.eye(k)[y]) ** 2).sum(1).mean()),
           "confusion_matrix": sk.confusion_matrix(y, p, labels=labels).tolist(),
           "per_class": {"precision": [num(v) for v in per[0]], "recall": [num(v) for v in per[1]],
                         "f1": [num(v) for v in per[2]], "support": per[3].tolist()}}
    for average in ("micro", "macro", "weighted"):
        out[average] = prf(y, p, average, labels=labels)
    if k == 2:
        out["binary"] = prf(y, p, "binary")
        out["roc_auc"] = attempt(sk.roc_auc_score, y, probs[:, 1]) if len(set(y)) == 2 else None
        out["average_precision"] = attempt(sk.average_precision_score, y, probs[:, 1]) if len(set(y)) == 2 else None
    else:
        full = len(set(y)) == k
        for how in ("ovr", "ovo"):
            for average in ("macro", "weighted"):
                out[f"roc_auc_{how}_{average}"] = attempt(
                    sk.roc_auc_score, y, probs, multi_class=how, average=average, labels=labels) if full else None
    return {"labels": y.tolist(), "probabilities": [[round(float(v), 12) for v in r] for r in probs], "expected": out}


def multilabel(rng, n, k):
    y = (rng.random((n, k)) < rng.uniform(0.1, 0.6, k)).astype(int)
    s = 1 / (1 + np.exp(-(rng.normal(size=(n, k)) + 1.5 * (y - 0.5))))
    p = (s >= 0.5).astype(int)
    out = {"subset_accuracy": num(sk.accuracy_score(y, p)), "hamming_loss": num(sk.hamming_loss(y, p))}
    for average in ("micro", "macro", "weighted", "samples"):
        out[average] = prf(y, p, average)
    for average in ("micro", "macro", "weighted"):
        out[f"roc_auc_{average}"] = attempt(sk.roc_auc_score, y, s, average=average)
        out[f"average_precision_{average}"] = attempt(sk.average_precision_score, y, s, average=average)
    return {"labels": y.tolist(), "scores": [[round(float(v), 12) for v in r] for r in s], "threshold": 0.5, "expected": out}


def regression(rng, n, constant=False):
    y = rng.normal(size=n)
    p = np.zeros(n) if constant else 0.7 * y + 0.5 * rng.normal(size=n)
    return {"targets": y.tolist(), "predictions": p.tolist(), "expected": {
        "mse": num(sk.mean_squared_error(y, p)), "mae": num(sk.mean_absolute_error(y, p)), "r2": num(sk.r2_score(y, p)),
        "pearson": num(stats.pearsonr(y, p)[0]), "spearman": num(stats.spearmanr(y, p)[0])}}


def entities(rng, sentences, noise, types=("PER", "LOC", "Chemical"), broken=False):
    from seqeval import metrics as se, scheme
    gold, pred = [], []
    for _ in range(sentences):
        tags = []
        while len(tags) < rng.integers(3, 15):
            if rng.random() < 0.4:
                t = types[rng.integers(len(types))]
                tags += [f"B-{t}"] + [f"I-{t}"] * rng.integers(0, 3)
            else:
                tags.append("O")
        guess = list(tags)
        for i in range(len(guess)):
            if rng.random() < noise:
                t = types[rng.integers(len(types))]
                guess[i] = ["O", f"B-{t}", f"I-{t}"][rng.integers(3)]
        gold.append(tags)
        pred.append(guess if not broken else [g.replace("B-", "I-") for g in guess])
    out = {}
    for name, kw in (("default", {}), ("strict_iob2", {"mode": "strict", "scheme": scheme.IOB2})):
        block = {}
        for average in ("micro", "macro", "weighted"):
            block[average] = {"precision": num(se.precision_score(gold, pred, average=average, zero_division=0, **kw)),
                              "recall": num(se.recall_score(gold, pred, average=average, zero_division=0, **kw)),
                              "f1": num(se.f1_score(gold, pred, average=average, zero_division=0, **kw))}
        report = se.classification_report(gold, pred, output_dict=True, zero_division=0, **kw)
        block["per_type"] = {t: {m: num(v) if m != "support" else int(v) for m, v in r.items()}
                             for t, r in report.items() if not t.endswith(" avg")}
        out[name] = block
    out["token_accuracy"] = num(se.accuracy_score(gold, pred))
    return {"gold": gold, "predicted": pred, "expected": out}


def squad():
    from torchmetrics.text import SQuAD
    rows = [("Paris", ["Paris"]), ("the city of Paris", ["Paris"]), ("Paris.", ["paris", "City of Paris"]),
            ("an  apple\ta day", ["apple day"]), ("", ["nothing"]), ("forty-two", ["42", "forty two"]),
            ("New York City", ["New York", "York City"]), ("U.S.", ["US"]), ("naïve café", ["naive cafe"]),
            ("日本 東京", ["東京"]), ("a", ["the"]), ("BRCA1 and BRCA2 genes", ["BRCA1, BRCA2"])]
    whole = SQuAD()
    per = []
    for i, (p, golds) in enumerate(rows):
        one = SQuAD()
        preds = [{"prediction_text": p, "id": str(i)}]
        target = [{"answers": {"answer_start": [0] * len(golds), "text": golds}, "id": str(i)}]
        one.update(preds, target)
        whole.update(preds, target)
        r = one.compute()
        per.append({"exact_match": num(r["exact_match"]), "f1": round(num(r["f1"]), 4)})
    r = whole.compute()
    return {"predictions": [p for p, _ in rows], "answers": [g for _, g in rows], "per_example": per,
            "expected": {"exact_match": round(num(r["exact_match"]), 4), "f1": round(num(r["f1"]), 4)},
            "tolerance": 1e-3}


def factoid(rng, n=30):
    ranked, golds = [], []
    for i in range(n):
        names = [f"gene {i}-{j}" for j in range(8)]
        ranked.append(names[: rng.integers(0, 8)])
        golds.append([names[rng.integers(0, 8)].upper(), f"other {i}"])
    strict = lenient = rr = 0.0
    for r, g in zip(ranked, golds):
        low = [x.lower() for x in g]
        hits = [i for i, x in enumerate(r[:5]) if x.lower() in low]
        strict += bool(r) and r[0].lower() in low
        lenient += bool(hits)
        rr += 1 / (hits[0] + 1) if hits else 0
    return {"ranked": ranked, "answers": golds, "expected": {
        "strict_accuracy": num(strict / n), "lenient_accuracy": num(lenient / n), "mrr": num(rr / n)}}


def retrieval(rng, queries=25, pool=60):
    ranked, relevant = [], []
    for _ in range(queries):
        ranked.append([int(v) for v in rng.permutation(pool)[:30]])
        relevant.append([int(v) for v in rng.choice(pool, rng.integers(1, 5), replace=False)])
    out = {k: 0.0 for k in ("mrr@10", "ndcg@10", "recall@5", "recall@20", "hit_rate@5")}
    for r, g in zip(ranked, relevant):
        hits = [1 if x in g else 0 for x in r]
        first = next((i for i, h in enumerate(hits[:10]) if h), None)
        out["mrr@10"] += 0 if first is None else 1 / (first + 1)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(g))))
        out["ndcg@10"] += sum(h / math.log2(i + 2) for i, h in enumerate(hits[:10])) / ideal
        out["recall@5"] += sum(hits[:5]) / len(g)
        out["recall@20"] += sum(hits[:20]) / len(g)
        out["hit_rate@5"] += any(hits[:5])
    return {"ranked": ranked, "relevant": relevant, "expected": {k: num(v / queries) for k, v in out.items()}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    doc = {
        "classification": [classification(rng, 40, 2, 1.0), classification(rng, 200, 2, 0.3), classification(rng, 60, 2, 1.0, ties=True),
                           classification(rng, 90, 4, 1.0), classification(rng, 30, 3, 0.0, absent=True),
                           classification(rng, 12, 2, 1.0, absent=True), classification(rng, 1, 2, 1.0)],
        "multilabel": [multilabel(rng, 50, 4), multilabel(rng, 12, 3)],
        "regression": [regression(rng, 40), regression(rng, 10, constant=True)],
        "entities": [entities(rng, 20, 0.0), entities(rng, 30, 0.15), entities(rng, 30, 0.5), entities(rng, 8, 0.2, broken=True)],
        "squad": [squad()], "factoid": [factoid(rng)], "retrieval": [retrieval(rng)],
    }
    json.dump(doc, open(args.out, "w"), ensure_ascii=False)
    open(args.out, "a").write("\n")
