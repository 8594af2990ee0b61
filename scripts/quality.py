#!/usr/bin/env python3
"""Compare bertkit with Hugging Face's Trainer: quality, wall time and memory of the same fine-tuning.

    pip install torch transformers accelerate scikit-learn
    cargo build --release --locked
    scripts/fetch-minilm.sh
    python scripts/quality.py

Each seed fine-tunes the same pretrained encoder on the same rows with both, one after the other, and the side that goes
first alternates. Both run one epoch, batches of 16, at most 128 tokens, AdamW at 5e-5, a linear warm-up over 10 % of the
steps and a linear decay, weight decay 0.01, float32 on the CPU, and both are held to the same `--threads` cores. A seed
draws the new classification layer, the order of the rows and the dropout; it does not make the two sides draw alike.

Wall time runs from the start of the process to the saved model, start-up and loading included. Peak memory is the
resident set, up to the saved model. Both models are then scored on the test rows, outside the time: the Trainer's by
scikit-learn, bertkit's by `bertkit eval`. `--check-metrics` scores bertkit's predictions with scikit-learn too, and
stops if the two disagree.

Writes quality.json (every run) and quality.md (the table, also printed) to `--output`, after every seed.
This file itself needs only the standard library; `--python` names the interpreter that has the packages.
"""

import argparse
import csv
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
METRICS = (("f1", "F1"), ("roc_auc", "ROC AUC"), ("accuracy", "accuracy"))
NAMES = {"bertkit": "bertkit", "trainer": "Trainer"}


def fail(message):
    sys.exit(f"error: {message}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=pathlib.Path, default=ROOT / "datasets/sentiment/amazon_train.csv")
    parser.add_argument("--test", type=pathlib.Path, default=ROOT / "datasets/sentiment/amazon_test.csv")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/minilm", help="folder of the pretrained model (default: models/minilm)")
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit", help="the program (default: target/release/bertkit)")
    parser.add_argument("--python", default=sys.executable, help="Python with torch and transformers (default: this one)")
    parser.add_argument("--positive", default="positive", help="the class that F1 and AUC are of (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="how many, counted from 1 (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads and cores of each side (default: %(default)s)")
    parser.add_argument("--only", choices=("bertkit", "trainer"), help="run one side alone")
    parser.add_argument("--limit", type=int, help="only the first N rows of each file, to try the script out")
    parser.add_argument("--check-metrics", action="store_true", help="score bertkit's predictions with scikit-learn too")
    parser.add_argument("--bertkit-arg", action="append", default=[], metavar="ARG",
                        help="one more argument of `bertkit finetune`, such as --bertkit-arg=--precision=f32; may be repeated")
    parser.add_argument("--trainer-arg", action="append", default=[], metavar="ARG",
                        help="one more argument of trainer_finetune.py, such as --trainer-arg=--group-by-length; may be repeated")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "runs/quality", help="folder for models, logs and results (default: runs/quality)")
    args = parser.parse_args()
    if args.seeds < 1 or args.threads < 1:
        parser.error("--seeds and --threads are at least 1")
    return args


def run(command, log, threads):
    """Runs a command on `threads` cores: its standard output, its seconds and its peak resident bytes."""
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
                       TOKENIZERS_PARALLELISM="true", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
    pin = None
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[:threads]

        def pin():
            os.sched_setaffinity(0, cores)

    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log.with_suffix(".stdout"), "wb") as out, open(log.with_suffix(".stderr"), "wb") as err:
        began = time.monotonic()
        child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=environment, cwd=ROOT, preexec_fn=pin)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        tail = log.with_suffix(".stderr").read_text(errors="replace")[-2000:]
        fail(f"`{' '.join(map(str, command))}` ended with {child.returncode}:\n{tail}")
    peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024  # Linux counts in KiB
    return log.with_suffix(".stdout").read_text(encoding="utf-8"), began, seconds, peak


def run_trainer(args, seed, folder):
    command = [args.python, ROOT / "scripts/peers/trainer_finetune.py", "--train", args.train, "--test", args.test, "--model", args.model,
               "--positive", args.positive, "--seed", seed, "--threads", args.threads, "--output", folder / "model", *args.trainer_arg]
    out, began, _, _ = run(command, folder / "finetune", args.threads)
    result = json.loads(out.strip().splitlines()[-1])
    return {"seconds": result["saved_monotonic"] - began, "peak_rss_bytes": result["peak_rss_bytes"],
            **{key: result[key] for key, _ in METRICS},
            "versions": {"torch": result["torch"], "transformers": result["transformers"]}}


def run_bertkit(args, seed, folder):
    output = folder / "run"
    command = [args.bertkit, "finetune", "--train", args.train, "--valid-fraction", "0", "--text", "text", "--label", "label",
               "--model", args.model, "--output", output, "--overwrite", "--epochs", "1", "--batch-size", "16", "--max-length", "128",
               "--learning-rate", "5e-5", "--warmup", "0.1", "--weight-decay", "0.01", "--seed", seed, "--device", "cpu", *args.bertkit_arg]
    _, _, seconds, peak = run(command, folder / "finetune", args.threads)
    if not (output / "model/model.safetensors").is_file():
        fail(f"`bertkit finetune` left no `{output / 'model/model.safetensors'}`")
    out, _, _, _ = run([args.bertkit, "eval", output, "--data", args.test, "--json"], folder / "eval", args.threads)
    report = json.loads(out)["metrics"]
    result = {"seconds": seconds, "peak_rss_bytes": peak, **{key: report[key]["value"] for key, _ in METRICS}}
    if args.check_metrics:
        check_metrics(args, folder, output, result)
    version, _, _, _ = run([args.bertkit, "--version"], folder / "version", args.threads)
    result["versions"] = {"bertkit": version.strip()}
    return result


CHECK = """
import csv, json, sys
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
positive = sys.argv[3]
rows = lambda path: list(csv.DictReader(open(path, encoding="utf-8", newline="")))
truth = [row["label"] == positive for row in rows(sys.argv[1])]
found = rows(sys.argv[2])
scores = [float(row["probability_" + positive]) for row in found]
columns = [name for name in found[0] if name.startswith("probability_")]
guess = [max(columns, key=lambda name: float(row[name])) == "probability_" + positive for row in found]
print(json.dumps({"accuracy": accuracy_score(truth, guess), "f1": f1_score(truth, guess, zero_division=0),
                  "roc_auc": roc_auc_score(truth, scores)}))
"""


def check_metrics(args, folder, output, result):
    predictions = folder / "predictions.csv"
    run([args.bertkit, "predict", output, "--input", args.test, "--output", predictions], folder / "predict", args.threads)
    out, _, _, _ = run([args.python, "-c", CHECK, args.test, predictions, args.positive], folder / "check", args.threads)
    for key, value in json.loads(out).items():
        if abs(value - result[key]) > 1e-4:
            fail(f"`bertkit eval` says {key} = {result[key]}, scikit-learn {value} of the same predictions")


def mean_sd(values, digits):
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}" if len(values) > 1 else f"{values[0]:.{digits}f}"


def table(runs, args, machine):
    sides = [side for side in ("bertkit", "trainer") if runs[side]]
    lines = [f"| | {' | '.join(NAMES[side] for side in sides)} |", f"|---|{'---:|' * len(sides)}"]
    for key, name in METRICS:
        lines.append(f"| {name} on the test rows | " + " | ".join(mean_sd([r[key] for r in runs[side]], 4) for side in sides) + " |")
    for name, number in (
        ("wall time, start to saved model, median", lambda rs: f"{statistics.median(r['seconds'] for r in rs):.1f} s"),
        ("wall time, lowest to highest", lambda rs: f"{min(r['seconds'] for r in rs):.1f} to {max(r['seconds'] for r in rs):.1f} s"),
        ("peak memory, highest", lambda rs: f"{max(r['peak_rss_bytes'] for r in rs) / 2**20:.0f} MiB"),
    ):
        lines.append(f"| {name} | " + " | ".join(number(runs[side]) for side in sides) + " |")
    text = "\n".join(lines) + "\n"
    pairs = [t["seconds"] / b["seconds"] for t, b in zip(runs["trainer"], runs["bertkit"])]
    if pairs:
        text += f"\nThe Trainer's time over bertkit's, seed by seed: median {statistics.median(pairs):.2f}, from {min(pairs):.2f} to {max(pairs):.2f}.\n"
    versions = {name: value for side in sides for name, value in runs[side][0]["versions"].items()}
    count = max(len(runs[side]) for side in sides)
    text += (f"\nMean ± standard deviation of {count} seed{'s' if count != 1 else ''}; {machine['train_rows']} training and {machine['test_rows']} test rows; "
             f"one epoch, batch 16, at most 128 tokens, float32; {args.threads} threads of {machine['cpu']}; "
             f"{', '.join(f'{n} {v}' if not v.startswith(n) else v for n, v in versions.items())}.\n")
    if args.bertkit_arg or args.trainer_arg:
        text += f"Extra arguments: bertkit {args.bertkit_arg}, Trainer {args.trainer_arg}.\n"
    return text


def cpu_name():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def main():
    args = parse_arguments()
    for path, hint in ((args.train, ""), (args.test, ""), (args.model / "model.safetensors", ": run scripts/fetch-minilm.sh")):
        if not path.is_file():
            fail(f"`{path}` is missing{hint}")
    for name in ("train", "test", "model", "bertkit", "output"):
        setattr(args, name, getattr(args, name).resolve())
    if args.only != "trainer" and not os.access(args.bertkit, os.X_OK):
        fail(f"`{args.bertkit}` is missing: run cargo build --release --locked")
    args.output.mkdir(parents=True, exist_ok=True)
    if args.limit:
        for name in ("train", "test"):
            part = args.output / f"{name}-{args.limit}.csv"
            with open(part, "w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(rows_of(getattr(args, name))[: args.limit + 1])
            setattr(args, name, part)

    (args.model / "model.safetensors").read_bytes()  # neither side is the first to read it from the disk
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": args.threads, "system": platform.platform(),
               "train_rows": len(rows_of(args.train)) - 1, "test_rows": len(rows_of(args.test)) - 1}
    runners = {"bertkit": run_bertkit, "trainer": run_trainer}
    runs = {"bertkit": [], "trainer": []}
    for seed in range(1, args.seeds + 1):
        order = [args.only] if args.only else ["trainer", "bertkit"] if seed % 2 else ["bertkit", "trainer"]
        for side in order:
            folder = args.output / side / f"seed-{seed}"
            shutil.rmtree(folder, ignore_errors=True)
            result = {"seed": seed, "first": side == order[0], **runners[side](args, seed, folder)}
            runs[side].append(result)
            print(f"seed {seed}, {NAMES[side]}: F1 {result['f1']:.4f}, {result['seconds']:.1f} s, "
                  f"{result['peak_rss_bytes'] / 2**20:.0f} MiB", file=sys.stderr, flush=True)
        settings = {"model": args.model.name, "bertkit_arg": args.bertkit_arg, "trainer_arg": args.trainer_arg}
        (args.output / "quality.json").write_text(json.dumps({"machine": machine, "settings": settings, "runs": runs}, indent=2) + "\n")
        (args.output / "quality.md").write_text(table(runs, args, machine), encoding="utf-8")
    print(table(runs, args, machine), end="")


if __name__ == "__main__":
    main()
