#!/usr/bin/env python3
"""Logistic regression on counts of k-mers, on the folds that `bertkit crossval` made: what a small encoder has to beat.

    pip install scikit-learn
    bertkit crossval --folds 5 --config configs/lncrna.toml --train lncRNA=a.fa,mRNA=b.fa --positive lncRNA --output runs/rna
    python scripts/kmer-baseline.py runs/rna --positive lncRNA

Features are the shares of all k-mers for k from 1 to --k, standardised; the regression is scikit-learn's with its defaults.
Prints a line for each fold, and mean, standard deviation and t interval beside those of bertkit, as a Markdown table.
"""

import argparse
import json
import pathlib
import statistics
import sys


def rows(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(row["text"], row["label"]) for row in map(json.loads, lines)]


def interval(values):
    from scipy.stats import t

    mean, sd = statistics.mean(values), statistics.stdev(values)
    half = t.ppf(0.975, len(values) - 1) * sd / len(values) ** 0.5
    return f"{mean:.3f} ± {sd:.3f} [{mean - half:.3f}, {mean + half:.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="what `bertkit crossval --output` made")
    parser.add_argument("--positive", required=True)
    parser.add_argument("--k", type=int, default=4)
    args = parser.parse_args()
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    folds = sorted((args.folder / "data").glob("fold-*-train.jsonl"))
    if not folds:
        sys.exit(f"error: `{args.folder}` holds no folds")
    accuracies, areas = [], []
    for fold in folds:
        train, held_out = rows(fold), rows(fold.with_name(fold.name.replace("train", "held-out")))
        model = make_pipeline(CountVectorizer(analyzer="char", ngram_range=(1, args.k), lowercase=False), Normalizer("l1"),
                              StandardScaler(with_mean=False), LogisticRegression(max_iter=2000))
        model.fit([text for text, _ in train], [label == args.positive for _, label in train])
        truth = [label == args.positive for _, label in held_out]
        scores = model.predict_proba([text for text, _ in held_out])[:, 1]
        accuracies.append(accuracy_score(truth, scores >= 0.5))
        areas.append(roc_auc_score(truth, scores))
        print(f"{fold.stem}: accuracy {accuracies[-1]:.3f}, AUC {areas[-1]:.3f}", file=sys.stderr)
    ours = json.loads((args.folder / "crossval.json").read_text(encoding="utf-8"))["across"]
    cell = lambda m: f"{m['mean']:.3f} ± {m['sd']:.3f} [{m['low']:.3f}, {m['high']:.3f}]"
    print("| | accuracy | ROC AUC |\n|---|---:|---:|")
    print(f"| bertkit | {cell(ours['accuracy'])} | {cell(ours['roc_auc'])} |")
    print(f"| logistic regression, k-mers of 1 to {args.k} | {interval(accuracies)} | {interval(areas)} |")


if __name__ == "__main__":
    main()
