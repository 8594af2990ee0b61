#!/usr/bin/env python3
"""Score labelled texts with a plain transformers loop: the peer of `bertkit eval RUN --data FILE`.

    pip install torch transformers

    python scripts/peers/transformers_eval.py runs/quickstart/classifier/model --data test.csv --batch-size 64

Reads every row, then takes batches in the order of the file, each padded to its longest text, under
torch.inference_mode with scaled_dot_product_attention, and counts the right answers. Prints one line of JSON: rows,
accuracy, `loop_seconds` (tokenizing, computing and counting, without imports and loading) and the peak resident bytes.
"""

import argparse
import csv
import json
import pathlib
import resource
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="folder of a model for sequence classification")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="CSV with the columns text and label")
    parser.add_argument("--batch-size", type=int, default=64, help="texts (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=128, help="tokens (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default: %(default)s)")
    args = parser.parse_args()

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSequenceClassification.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa").eval()

    began = time.perf_counter()
    with open(args.data, encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    right = 0
    with torch.inference_mode():
        for first in range(0, len(rows), args.batch_size):
            part = rows[first : first + args.batch_size]
            encoded = tokenizer([text for text, _ in part], padding=True, truncation=True, max_length=args.max_length, return_tensors="pt")
            for answer, (_, label) in zip(model(**encoded).logits.argmax(-1).tolist(), part):
                right += model.config.id2label[answer] == label
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"rows": len(rows), "accuracy": right / max(1, len(rows)), "loop_seconds": seconds,
                      "peak_rss_bytes": peak if sys.platform == "darwin" else peak * 1024}))


if __name__ == "__main__":
    main()
