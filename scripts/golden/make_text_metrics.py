#!/usr/bin/env python3
"""Write text_metrics.json: tags and answers at the edges, with what the reference programs say of them.

    pip install seqeval "transformers<5" numpy
    python scripts/golden/make_text_metrics.py text_metrics.json --conlleval conlleval.pl [--seed 7]

Sections:
    entities    seqeval: default mode and strict IOB2, overall and per type (null where it refuses the tags);
                conlleval.pl, the script of the CoNLL-2000 shared task: counts of chunks, and per type in percent to
                two decimals. Tags come bare, with odd prefixes and as BIOES too.
    squad2      transformers' port of evaluate-v2.0.py: exact match, F1, HasAns, NoAns, best thresholds.
"""
import argparse
import json
import math
import re
import subprocess
import warnings
from types import SimpleNamespace

import numpy as np
from seqeval import metrics as se
from seqeval import scheme
from transformers.data.metrics.squad_metrics import get_raw_scores, squad_evaluate

warnings.filterwarnings("ignore")


def number(value):
    value = float(value)
    return round(value, 12) if math.isfinite(value) else None


def seqeval_scores(gold, predicted, **options):
    options["zero_division"] = 0
    scores = {"precision": se.precision_score, "recall": se.recall_score, "f1": se.f1_score}
    try:
        block = {
            average: {name: number(of(gold, predicted, average=average, **options)) for name, of in scores.items()}
            for average in ("micro", "macro", "weighted")
        }
        report = se.classification_report(gold, predicted, output_dict=True, **options)
    except (ValueError, KeyError):
        return None
    block["per_type"] = {
        kind: {"precision": number(row["precision"]), "recall": number(row["recall"]), "f1": number(row["f1-score"]),
               "support": int(row["support"])}
        for kind, row in report.items() if not kind.endswith(" avg")
    }
    return block


def conlleval(script, gold, predicted):
    lines = []
    for tags, guess in zip(gold, predicted):
        lines += [f"w {tag} {other}" for tag, other in zip(tags, guess)] + [""]
    run = subprocess.run(["perl", script], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    counts = re.search(r"with (\d+) phrases; found: (\d+) phrases; correct: (\d+)\.", run.stdout)
    out = dict(zip(("gold", "predicted", "correct"), map(int, counts.groups())))
    row = re.compile(r"^ *(\S+): precision: +([\d.]+)%; recall: +([\d.]+)%; FB1: +([\d.]+)", re.MULTILINE)
    out["per_type"] = {
        kind: {"precision": float(p), "recall": float(r), "f1": float(f)}
        for kind, p, r, f in row.findall(run.stdout) if kind != "accuracy"
    }
    return out


def entities(rng, script, tags, sentences):
    gold, predicted = [], []
    for _ in range(sentences):
        words = [tags[i] for i in rng.integers(len(tags), size=rng.integers(1, 12))]
        guess = [tags[rng.integers(len(tags))] if rng.random() < 0.3 else tag for tag in words]
        gold.append(words)
        predicted.append(guess)
    return {"gold": gold, "predicted": predicted, "expected": {
        "default": seqeval_scores(gold, predicted),
        "strict_iob2": seqeval_scores(gold, predicted, mode="strict", scheme=scheme.IOB2),
        "token_accuracy": number(se.accuracy_score(gold, predicted)),
        "conlleval": conlleval(script, gold, predicted),
    }}


PIECES = ["a", "an", "the", "The", "A", "x", "X.", "y-z", "Straße", "ΟΔΟΣ", "東京", "the東", "a–b", "\u00a0", "\t", "\u2003",
          "\u001f", "_a_", "“the”", "42", "4 2", "U.S.", "İzmir", "cafe\u0301", "a\u0301", "naïve", "¿", "l'", "³", "½a"]


def text(rng, pieces):
    return "".join(PIECES[i] + [" ", "", "  "][rng.integers(3)] for i in rng.integers(len(PIECES), size=pieces))


def squad2(rng, questions, threshold, logits):
    rows = []
    for _ in range(questions):
        gold = [text(rng, rng.integers(0, 4)) for _ in range(rng.integers(0, 3))]
        predicted = text(rng, rng.integers(0, 4))
        if gold and rng.random() < 0.5:
            predicted = gold[0].upper() if rng.random() < 0.5 else gold[0] + " x"
        score = float(rng.normal()) * 4 + 20 if logits else float(rng.random())
        rows.append({"gold": gold, "predicted": predicted, "no_answer_score": score})
    examples = [SimpleNamespace(qas_id=str(i), answers=[{"text": g} for g in row["gold"]]) for i, row in enumerate(rows)]
    predictions = {str(i): row["predicted"] for i, row in enumerate(rows)}
    scores = {str(i): row["no_answer_score"] for i, row in enumerate(rows)}
    expected = squad_evaluate(examples, predictions, scores, threshold)
    exact, f1 = get_raw_scores(examples, predictions)
    return {"questions": rows, "threshold": threshold, "expected": {key: float(value) for key, value in expected.items()},
            "raw": [[float(exact[str(i)]), number(f1[str(i)])] for i in range(len(rows))]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--conlleval", required=True)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    sets = [
        ["O", "O", "B", "I"],
        ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
        ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B", "I"],
        ["O", "I-PER", "I-LOC"],
        ["O", "O", "B-A", "I-A", "E-A", "B-B", "I-B", "E-B"],
        ["O", "O", "B-A", "I-A", "E-A", "S-A", "S-B", "B-B", "E-B"],
        ["B-A", "B-B"],
    ]
    document = {
        "entities": [entities(rng, args.conlleval, tags, n) for tags in sets for n in (3, 25)],
        "squad2": [squad2(rng, 40, 1.0, False), squad2(rng, 40, 0.5, False), squad2(rng, 60, 19.0, True)],
    }
    with open(args.out, "w") as file:
        json.dump(document, file, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
