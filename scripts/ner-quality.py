#!/usr/bin/env python3
"""Compare bertkit with a plain transformers loop on named entities: test F1 over seeds, with the same settings.

    pip install torch transformers seqeval
    cargo build --release --locked
    python scripts/ner-quality.py --model models/minilm --train train.tsv --test test.tsv --type-name Disease

Both train on the same sentences for the same epochs with AdamW, linear warm-up over 10 % of the updates and linear decay,
weight decay 0.01, gradients no longer than 1, batches of 16 sentences, float32 on the CPU; the last weights are kept, and
nothing is chosen on test. A seed draws the new layer, the order and the dropout; it does not make the two draw alike. The
sides alternate. bertkit is scored by `bertkit eval` (seqeval's default), the peer by seqeval. Sentences longer than
--max-length are read in windows by bertkit, and cut by the peer.

Prints a line of a Markdown table, and with --output writes every run to a JSON file. This file needs only the standard
library; `--python` names the interpreter that has the packages.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def bertkit(args, seed, folder):
    columns = []
    for flag, value in (("--word-column", args.word_column), ("--tag-column", args.tag_column), ("--type-name", args.type_name)):
        columns += [flag, value] if value else []
    started = time.monotonic()
    run([args.bertkit, "finetune", "--task", "ner", "--model", args.model, "--train", args.train, *columns, "--valid-fraction", 0,
         "--epochs", args.epochs, "--learning-rate", args.learning_rate, "--batch-size", 16, "--max-length", args.max_length, "--seed", seed,
         "--threads", args.threads, "--device", "cpu", "--output", folder / "run", "--overwrite", "--quiet", *args.bertkit_arg])
    seconds = time.monotonic() - started
    report = json.loads(run([args.bertkit, "eval", folder / "run", "--data", args.test, "--json", "--quiet", "--bootstrap", 0, "--threads", args.threads]))
    return {"f1": report["metrics"]["f1_micro"]["value"], "seconds": seconds}


def peer(args, seed):
    columns = ["--word-column", args.word_column or 1, "--tag-column", args.tag_column or 0]
    columns += ["--type-name", args.type_name] if args.type_name else []
    return json.loads(run([args.python, ROOT / "scripts/peers/torch_ner.py", "--model", args.model, "--train", args.train, "--test", args.test, *columns,
                           "--epochs", args.epochs, "--learning-rate", args.learning_rate, "--max-length", args.max_length, "--seed", seed,
                           "--threads", args.threads]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", help="what the line is called (default: the training file)")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--train", type=pathlib.Path, required=True)
    parser.add_argument("--test", type=pathlib.Path, required=True)
    parser.add_argument("--word-column", type=int)
    parser.add_argument("--tag-column", type=int)
    parser.add_argument("--type-name")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="the first of them (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit")
    parser.add_argument("--bertkit-arg", action="append", default=[], metavar="ARG", help="one more argument of `bertkit finetune`; may be repeated")
    parser.add_argument("--python", default=sys.executable, help="Python with torch, transformers and seqeval")
    parser.add_argument("--only", choices=("bertkit", "peer"), help="run one side alone")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file for every run")
    args = parser.parse_args()
    args.bertkit = args.bertkit.resolve()
    found = {"bertkit": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            sides = ("bertkit", "peer") if seed % 2 else ("peer", "bertkit")
            for side in sides:
                if args.only in (None, side):
                    one = bertkit(args, seed, pathlib.Path(folder)) if side == "bertkit" else peer(args, seed)
                    found[side].append(one)
                    print(f"seed {seed} {side}: F1 {one['f1']:.4f}, {one['seconds']:.0f} s", file=sys.stderr, flush=True)
            if args.output:
                args.output.write_text(json.dumps({"settings": {k: str(v) for k, v in vars(args).items()}, "runs": found}, indent=1) + "\n")

    def cell(side):
        scores = [one["f1"] for one in found[side]]
        if not scores:
            return "not run"
        spread = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
        return f"{statistics.mean(scores):.4f}{spread}"

    ratios = [a["seconds"] / b["seconds"] for a, b in zip(found["bertkit"], found["peer"])]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
    print(f"| {args.name or args.train.stem} | {cell('bertkit')} | {cell('peer')} | {ratio} |")


if __name__ == "__main__":
    main()
