#!/usr/bin/env python3
"""Does pretraining help? Fresh weights, masked words and replaced tokens, at equal time, on the reviews of the repository.

    cargo build --release --locked
    python3 scripts/compare-pretraining.py

One encoder for each objective is pretrained with configs/quickstart-pretrain.toml, or `--config`, for `--budget` on the texts
of datasets/sentiment/corpus (the sentences of test reviews are not among them) and of `--texts`; then each, and fresh weights
of the same sizes with the same tokenizer, is fine-tuned with configs/quickstart.toml under `--seeds` seeds, and scored on the
test reviews. `--rows` keeps only so many labelled rows for training, drawn once; it may be repeated. `--side-by-side` pretrains
both at the same time, on one thread each. `--masked-first 0.75` spends that share of the budget for replaced tokens on masked
words first, and goes on from there. `--reuse` takes the encoders that an earlier run left in `--output`.

Settings of fine-tuning are the same for all three unless `--learning-rate fresh=5e-4` and the like say otherwise. Few rows need more
epochs: the number of updates counts. Choose on `--split`, which holds reviews of the training file out and leaves the test file alone.

Prints a table in Markdown, and writes it with every run to `--output`. An interval of a mean is Student's t over seeds, at
95 %; that of a difference to fresh weights is over the pairs of runs with the same seed. Only the standard library is needed.
"""

import argparse
import concurrent.futures
import csv
import json
import math
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
METRICS = {"f1": "F1", "f1_macro": "F1, macro", "roc_auc": "ROC AUC"}
NAMES = {"fresh": "fresh weights", "mlm": "masked words", "rtd": "replaced tokens"}
# Student's t, 97.5 %, by degrees of freedom.
T = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 6: 2.4469, 7: 2.3646, 8: 2.3060, 9: 2.2622}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit")
    parser.add_argument("--budget", default="10m", help="time of each pretraining (default: %(default)s)")
    parser.add_argument("--config", default="configs/quickstart-pretrain.toml", help="of pretraining (default: %(default)s)")
    parser.add_argument("--texts", type=pathlib.Path, action="append", default=[], help="a folder of more texts")
    parser.add_argument("--side-by-side", action="store_true", help="pretrain both at the same time, on one thread each")
    parser.add_argument("--reuse", action="store_true", help="do not pretrain: the encoders are in --output")
    parser.add_argument("--masked-first", type=float, default=0.0, metavar="SHARE", help="of the budget for replaced tokens")
    parser.add_argument("--seeds", type=int, default=5, choices=range(2, 11), metavar="2..10", help="default: %(default)s")
    parser.add_argument("--rows", type=int, action="append", help="labelled rows to train on (default: all)")
    parser.add_argument("--learning-rate", action="append", default=[], metavar="ARM=RATE", help="of one arm's fine-tuning")
    parser.add_argument("--epochs", action="append", default=[], metavar="ARM=N", help="of one arm's fine-tuning")
    parser.add_argument("--finetune-arg", action="append", default=[], metavar="ARM=ARG",
                        help="one more argument of an arm's fine-tuning, such as mlm=--set=model.hidden_dropout=0.1")
    parser.add_argument("--pretrain-arg", action="append", default=[], metavar="ARM=ARG",
                        help="one more argument of an arm's pretraining, such as rtd=--set=generator.size=0.5")
    parser.add_argument("--split", action="store_true", help="hold a fifth of the training reviews out, and score on them")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "runs/compare-pretraining")
    return parser.parse_args()


def pairs(values, what):
    """ARM=VALUE, several of an arm in a list."""
    found = {arm: [] for arm in NAMES}
    for value in values:
        arm, _, rest = value.partition("=")
        if arm not in found or not rest:
            sys.exit(f"error: {what} {value}: expected one of {', '.join(NAMES)}, then = and a value")
        found[arm].append(rest)
    return found


def run(arguments):
    started = time.monotonic()
    done = subprocess.run([str(a) for a in arguments], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout, time.monotonic() - started


def data(arguments):
    """The rows to train on, by number, and the file to score on."""
    with open(ROOT / "datasets/sentiment/amazon_train.csv", newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames
    test = ROOT / "datasets/sentiment/amazon_test.csv"
    draw = random.Random(7)
    if arguments.split:
        group = next((c for c in columns if c not in ("text", "label")), None)
        key = (lambda row: row[group]) if group else (lambda row: row["text"])
        groups = sorted({key(row) for row in rows})
        draw.shuffle(groups)
        held = set(groups[: len(groups) // 5])
        test = arguments.output / "held_out.csv"
        write(test, columns, [row for row in rows if key(row) in held])
        rows = [row for row in rows if key(row) not in held]
    files = {}
    for size in arguments.rows or [len(rows)]:
        if size > len(rows):
            sys.exit(f"error: --rows {size}: there are {len(rows)}")
        path = arguments.output / f"train_{size}.csv"
        chosen = rows if size == len(rows) else draw.sample(rows, size)
        write(path, columns, chosen)
        files[size] = path
    return files, test


def write(path, columns, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def pretrain(arguments, arm, more):
    target, share = arguments.output / arm, arguments.masked_first if arm == "rtd" else 0.0
    base = [arguments.bertkit, "pretrain", "--config", arguments.config, "--tokenizer", arguments.output / "tok", "--shards",
               arguments.output / f"shards-{arm}", "--overwrite", "--quiet", *[x for path in corpus(arguments) for x in ("--corpus", path)]]
    if arguments.side_by_side:
        base += ["--threads", "1"]
    objectives = {
        # The configuration may have a generator's size, which means nothing without one.
        "mlm": ["--objective", "mlm", "--set", "generator.tied=embeddings", "--set", "generator.size=0.25"],
        "rtd": ["--objective", "rtd"],
    }
    budget, seconds, start = in_seconds(arguments.budget), 0.0, []
    if share > 0 and not arguments.reuse:
        first = arguments.output / "rtd-first"
        _, seconds = run([*base, *objectives["mlm"], "--budget", f"{budget * share:.0f}s", "--output", first])
        start = ["--model", first / "model", "--set", f"generator.path={first / 'model'}"]
    if not arguments.reuse:
        _, rest = run([*base, *objectives[arm], *start, "--budget", f"{budget * (1 - share):.0f}s", "--output", target, *more])
        seconds += rest
    last = {}
    for line in (target / "metrics.jsonl").read_text().splitlines():
        value = json.loads(line)
        if value["split"] == "valid":
            last[value["name"]] = value["value"]
        steps = value["step"]
    time_taken = "made before" if arguments.reuse else f"in {seconds:.0f} s"
    print(f"{NAMES[arm]}: {steps} steps {time_taken}, {last}", flush=True)
    return {"steps": steps, "seconds": seconds, "held_out": last}


def corpus(arguments):
    return [ROOT / "datasets/sentiment/corpus", *(path.resolve() for path in arguments.texts)]


def in_seconds(budget):
    """90s, 30m, 1h30m, or a number of seconds."""
    parts = re.findall(r"([0-9.]+)([smhd]?)", budget)
    return sum(float(number) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in parts)


def score(arguments, arm, train, test, seed, more):
    target = arguments.output / "run"
    source = ["--tokenizer", arguments.output / "tok"] if arm == "fresh" else ["--model", arguments.output / arm]
    run([arguments.bertkit, "finetune", "--config", "configs/quickstart.toml", *source, "--train", train, "--seed", seed,
         "--output", target, "--overwrite", "--quiet", *more])
    text, _ = run([arguments.bertkit, "eval", target, "--data", test, "--json", "--quiet", "--bootstrap", "0"])
    shutil.rmtree(target)
    metrics = json.loads(text)["metrics"]
    return {name: metrics[name]["value"] for name in METRICS}


def interval(values):
    """Mean and half the width of its interval."""
    half = T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half


def table(results, sizes):
    head = ["labelled rows", "encoder", *METRICS.values(), *(f"{name}, difference to fresh" for name in METRICS.values())]
    lines = ["| " + " | ".join(head) + " |", "|---:|" + "---|" * (len(head) - 1)]
    for size in sizes:
        for arm in NAMES:
            cells = []
            for name in METRICS:
                cells.append("{:.3f} ± {:.3f}".format(*interval([r[name] for r in results[size][arm]])))
            for name in METRICS:
                if arm == "fresh":
                    cells.append("")
                    continue
                both = zip(results[size][arm], results[size]["fresh"])
                mean, half = interval([a[name] - b[name] for a, b in both])
                cells.append(f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]")
            lines.append(f"| {size} | {NAMES[arm]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    arguments = parse_arguments()
    if not arguments.bertkit.is_file():
        sys.exit(f"error: there is no {arguments.bertkit}; build it with `cargo build --release --locked`")
    arguments.output = arguments.output.resolve()
    arguments.output.mkdir(parents=True, exist_ok=True)
    more, tuned = pairs(arguments.pretrain_arg, "--pretrain-arg"), pairs(arguments.finetune_arg, "--finetune-arg")
    for flag, values in (("--learning-rate", arguments.learning_rate), ("--epochs", arguments.epochs)):
        for arm, found in pairs(values, flag).items():
            tuned[arm] += [argument for value in found for argument in (flag, value)]
    files, test = data(arguments)
    if not arguments.reuse:
        run([arguments.bertkit, "tokenizer", "train", *corpus(arguments), "--vocab-size", "8000", "--output",
             arguments.output / "tok", "--overwrite", "--quiet"])
    arms = ("mlm", "rtd")
    with concurrent.futures.ThreadPoolExecutor(2 if arguments.side_by_side else 1) as pool:
        pretraining = dict(zip(arms, pool.map(lambda arm: pretrain(arguments, arm, more[arm]), arms)))
    results = {size: {arm: [] for arm in NAMES} for size in files}
    for size, train in files.items():
        for seed in range(1, arguments.seeds + 1):
            for arm in NAMES:
                results[size][arm].append(score(arguments, arm, train, test, seed, tuned[arm]))
                print(size, seed, arm, results[size][arm][-1], flush=True)
    text = table(results, files)
    (arguments.output / "table.md").write_text(text)
    (arguments.output / "runs.json").write_text(json.dumps({"pretraining": pretraining, "results": results}, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
