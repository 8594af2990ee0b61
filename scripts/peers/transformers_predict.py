#!/usr/bin/env python3
"""Classify one text with transformers from a cold start: the peer of `bertkit predict RUN --text "..."`.

    pip install torch transformers

    python scripts/peers/transformers_predict.py runs/quickstart/classifier/model --text "great player."

Prints one line of JSON: the predicted label, every class's probability (of a regression: the scores), and the seconds
that importing, loading and predicting took. They count from the first line of this file; the start of Python itself is
not in them, so compare whole commands with a clock outside (`time`, hyperfine).
"""

import time

STARTED = time.perf_counter()

import argparse
import json
import pathlib


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="folder of a model for sequence classification, or a run of bertkit")
    parser.add_argument("--text", required=True)
    parser.add_argument("--max-length", type=int, default=128, help="tokens (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default: %(default)s)")
    args = parser.parse_args()
    folder = args.model / "model" if (args.model / "model/config.json").is_file() else args.model

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    imported = time.perf_counter()

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    loaded = time.perf_counter()

    with torch.no_grad():
        logits = model(**tokenizer(args.text, truncation=True, max_length=args.max_length, return_tensors="pt")).logits[0]
    names = [model.config.id2label[i] for i in range(len(logits))]
    kind = model.config.problem_type or ("regression" if len(names) == 1 else "single_label_classification")
    if kind == "regression":
        answer = {"scores": dict(zip(names, logits.tolist()))}
    elif kind == "multi_label_classification":
        scores = torch.sigmoid(logits).tolist()
        answer = {"labels": [n for n, s in zip(names, scores) if s >= 0.5], "probabilities": dict(zip(names, scores))}
    else:
        answer = {"label": names[int(logits.argmax())], "probabilities": dict(zip(names, torch.softmax(logits, -1).tolist()))}
    done = time.perf_counter()
    print(json.dumps({**answer, "seconds": {"import": imported - STARTED, "load": loaded - imported,
                                            "predict": done - loaded, "total": done - STARTED}}))


if __name__ == "__main__":
    main()
