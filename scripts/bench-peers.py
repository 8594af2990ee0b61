#!/usr/bin/env python3
"""Time bertkit beside PyTorch on this machine, and write docs/benchmarks.md.

    cargo build --release --locked
    python3 -m venv venv && venv/bin/pip install torch transformers accelerate scikit-learn
    scripts/fetch-minilm.sh
    venv/bin/python scripts/bench-peers.py

Every work is done by both sides in turn, round by round, and the side that goes first alternates. A round gives each side
`--steps` steps of the same batches behind `--warmup` others, and its ratio is bertkit's median over PyTorch's: below 1,
bertkit is faster. The table has the median of the rounds' ratios, and the lowest and highest. Each side has a process of
its own for each work, so that the peak of its memory is that of this work, and both are held to the same `--threads`
cores. PyTorch's process sleeps while bertkit's runs; that it does is checked.

PyTorch's side is scripts/peers/: transformers' classes, scaled_dot_product_attention, float32, the fastest of torch's three
forms of AdamW (tried for each work), gradients set to none. It pads to the longest sequence, as transformers does.

Works that are not asked for (`--only`) keep the results that docs/benchmarks.json has of them, if those are of the same
machine; each result carries its own date, version and command. `--list` names the works.
This file itself needs only the standard library; `--python` names the interpreter that has the packages.
"""

import argparse
import csv
import datetime
import fnmatch
import json
import os
import pathlib
import platform
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import time

import quality  # beside this file
import torch_process

ROOT = pathlib.Path(__file__).resolve().parent.parent
MINILM, BASE, MINI = (ROOT / "configs/models" / name for name in ("minilm-6x384.toml", "base.toml", "mini.toml"))
PACKAGES = "torch transformers accelerate scikit-learn"


def mixed_lengths():
    """16 lengths from 8 to 64, drawn once."""
    draw = random.Random(8)
    return [draw.randint(8, 64) for _ in range(16)]


def step(title, config, work, lengths, asked, dropout=0.1):
    return {"title": title, "config": config, "work": work, "lengths": lengths, "asked": asked, "dropout": dropout}


STEPS = {
    "minilm-train": step("MiniLM, 16 × 128, training step, dropout 0.1", MINILM, "train", [128] * 16, 0.75),
    "minilm-train-plain": step("MiniLM, 16 × 128, training step, dropout 0", MINILM, "train", [128] * 16, 1.00, dropout=0.0),
    "minilm-forward": step("MiniLM, 16 × 128, forward", MINILM, "forward", [128] * 16, 0.90),
    "base-train": step("BERT-base, 8 × 128, training step, dropout 0.1", BASE, "train", [128] * 8, 0.85),
    "base-forward": step("BERT-base, 8 × 128, forward", BASE, "forward", [128] * 8, 0.95),
    "mixed-train": step("MiniLM, 16 sequences of 8 to 64, training step, dropout 0.1", MINILM, "train", mixed_lengths(), 0.50),
    "mixed-forward": step("MiniLM, 16 sequences of 8 to 64, forward", MINILM, "forward", mixed_lengths(), 0.60),
    "mini-mlm": step("BERT-mini, 32 × 128, masked-LM step over 30,522 words, dropout 0.1", MINI, "mlm", [128] * 32, 0.60),
}
WHOLE = {
    "finetune": "MiniLM, one epoch of the 2,391 Amazon snippets, from command to saved model, beside transformers' Trainer",
    "eval": "MiniLM, `bertkit eval` of 10,000 texts, beside a plain transformers loop",
    "predict": "MiniLM, `bertkit predict` of one sentence from a cold start",
}
SHARES = {
    "minilm-gemm": ("MiniLM, 16 × 128", MINILM, [128] * 16),
    "base-gemm": ("BERT-base, 8 × 128", BASE, [128] * 8),
}
ASKED = {"finetune": 0.45, "eval": 0.50}
ASKED_MEMORY = {"finetune": 0.35}
ASKED_SECONDS = {"predict": 0.2}
WORKS = [*STEPS, *WHOLE, *SHARES]


def fail(message):
    sys.exit(f"error: {message}")


def tell(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORK,…", help="some works, by name or pattern, such as --only 'minilm-*,eval'")
    parser.add_argument("--list", action="store_true", help="print the names of the works, and end")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the steps (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps a round (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them (default: %(default)s)")
    parser.add_argument("--long-rounds", type=int, default=3, help="rounds of finetune and eval (default: %(default)s)")
    parser.add_argument("--predictions", type=int, default=20, help="cold starts of predict (default: %(default)s)")
    parser.add_argument("--eval-rows", type=int, default=10_000, help="texts of eval (default: %(default)s)")
    parser.add_argument("--eval-batch", type=int, default=64, help="texts of a batch of the transformers loop (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads and cores of each side (default: all, %(default)s)")
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit", help="the program (default: target/release/bertkit)")
    parser.add_argument("--python", default=sys.executable, help="Python with torch and transformers (default: this one)")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/minilm", help="folder of MiniLM (default: models/minilm)")
    parser.add_argument("--work-folder", type=pathlib.Path, default=ROOT / "runs/bench-peers", help="for models and logs (default: runs/bench-peers)")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs", help="where benchmarks.md and .json go (default: docs)")
    args = parser.parse_args()
    if args.list:
        print("\n".join(WORKS))
        sys.exit()
    for name in ("rounds", "steps", "long_rounds", "predictions", "eval_rows", "eval_batch", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is at least 1")
    if args.warmup < 0:
        parser.error("--warmup is at least 0")
    patterns = args.only.split(",") if args.only else ["*"]
    for pattern in patterns:
        if not fnmatch.filter(WORKS, pattern):
            parser.error(f"there is no work `{pattern}`; there are {', '.join(WORKS)}")
    args.works = [work for work in WORKS if any(fnmatch.fnmatch(work, pattern) for pattern in patterns)]
    # Not resolved: the interpreter of a virtual environment is a link.
    for name in ("bertkit", "model", "work_folder", "output"):
        setattr(args, name, getattr(args, name).absolute())
    return args


def check_requirements(args):
    if not os.access(args.bertkit, os.X_OK):
        fail(f"`{args.bertkit}` is missing: run cargo build --release --locked")
    if shutil.which(args.python) is None:
        fail(f"there is no `{args.python}`: name a Python that has {PACKAGES} with --python")
    needed = ["torch", "transformers"] + (["accelerate", "sklearn"] if "finetune" in args.works else [])
    found = subprocess.run([args.python, "-c", f"import {', '.join(needed)}; print(torch.__version__, transformers.__version__)"],
                           capture_output=True, text=True)
    if found.returncode != 0:
        fail(f"`{args.python}` cannot import {', '.join(needed)}:\n{found.stderr.strip().splitlines()[-1]}\n\n"
             f"hint: python3 -m venv venv && venv/bin/pip install {PACKAGES}, then --python venv/bin/python")
    if set(args.works) & set(WHOLE) and not (args.model / "model.safetensors").is_file():
        fail(f"`{args.model}` holds no model: run scripts/fetch-minilm.sh")
    return dict(zip(("torch", "transformers"), found.stdout.split()))


def pin(threads):
    """For a process that is about to start: the cores it may use."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, cores)


class Torch(torch_process.TorchProcess):
    """PyTorch's side; that it ends is an error."""

    def __init__(self, args, work, optimizer="fused", choose=False):
        more = ["--dropout", work["dropout"], "--optimizer", optimizer, *(["--choose-optimizer"] if choose else [])]
        environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads), MKL_NUM_THREADS=str(args.threads),
                           CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")
        super().__init__(args.python, work["config"], work["work"], work["lengths"], args.threads, more, env=environment, cwd=ROOT,
                         preexec_fn=pin(args.threads))

    def read(self):
        answer = super().read()
        if answer is None:
            fail(f"scripts/peers/torch_steps.py ended with {self.child.returncode}")
        return answer

    def cpu_seconds(self):
        """Seconds of CPU so far, or None where the system does not tell."""
        try:
            fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bertkit_steps(args, name, config, work, lengths, dropout=None):
    equal = len(set(lengths)) == 1
    command = [args.bertkit, "bench", "--json", "--config", config, "--work", work, "--warmup", args.warmup, "--steps", args.steps,
               "--lengths", lengths[0] if equal else ",".join(map(str, lengths)), *(["--batch", len(lengths)] if equal else []),
               *(["--dropout", dropout] if dropout is not None else []), "--device", "cpu", "--threads", args.threads]
    out, _, _, peak = quality.run(command, args.work_folder / "logs" / name, args.threads)
    return {**json.loads(out), "peak_rss_bytes": peak}


def spread(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def measure_steps(args, name):
    work = STEPS[name]
    optimizer = None
    if work["work"] != "forward":
        chooser = Torch(args, work, choose=True)
        optimizer = chooser.greeting["optimizer"]
        chooser.close()
    peer = Torch(args, work, optimizer or "fused")
    rounds, idle = [], []
    for number in range(args.rounds):
        result = {}
        for side in ("bertkit", "torch") if number % 2 else ("torch", "bertkit"):
            time.sleep(0.5)  # the threads of the other side go to sleep
            if side == "torch":
                answer = peer.ask(args.warmup, args.steps)
            else:
                before, began = peer.cpu_seconds(), time.monotonic()
                answer = bertkit_steps(args, name, work["config"], work["work"], work["lengths"], work["dropout"])
                if before is not None:
                    idle.append((peer.cpu_seconds() - before) / (time.monotonic() - began))
            result[side] = {"seconds": answer["seconds"], "peak_rss_bytes": answer["peak_rss_bytes"]}
            if side == "bertkit" and answer["parameters"] != peer.greeting["parameters"]:
                fail(f"{name}: bertkit's model has {answer['parameters']} weights, torch's {peer.greeting['parameters']}")
        medians = {side: statistics.median(result[side]["seconds"]) for side in result}
        result["ratio"] = medians["bertkit"] / medians["torch"]
        rounds.append(result)
        tell(f"{name}, round {number + 1}: bertkit {medians['bertkit'] * 1e3:.1f} ms, torch {medians['torch'] * 1e3:.1f} ms, "
             f"ratio {result['ratio']:.3f}")
    peer.close()
    if idle and max(idle) > 0.02:
        tell(f"note: PyTorch's process used {max(idle):.0%} of a core while bertkit ran")
    median = {side: statistics.median(s for r in rounds for s in r[side]["seconds"]) for side in ("bertkit", "torch")}
    return {
        "kind": "steps", "title": work["title"], "tokens": sum(work["lengths"]), "lengths": sorted(set(work["lengths"])),
        "seconds": median, "ratio": spread([r["ratio"] for r in rounds]), "asked": work["asked"],
        "memory": {side: max(r[side]["peak_rss_bytes"] for r in rounds) for side in ("bertkit", "torch")},
        "rounds": [{side: [round(s, 5) for s in r[side]["seconds"]] for side in ("bertkit", "torch")} for r in rounds],
        "optimizer": optimizer,
    }


def whole(name, rounds, **more):
    """The result of a work that is a whole command: seconds and peak bytes of each side, round by round."""
    ratios = [r["bertkit"]["seconds"] / r["torch"]["seconds"] for r in rounds]
    sides = ("bertkit", "torch")
    return {
        "kind": "whole", "title": WHOLE[name], "asked": ASKED[name], "asked_memory": ASKED_MEMORY.get(name),
        "seconds": {side: statistics.median(r[side]["seconds"] for r in rounds) for side in sides}, "ratio": spread(ratios),
        "memory": {side: max(r[side]["peak_rss_bytes"] for r in rounds) for side in sides},
        "rounds": [{side: [round(r[side]["seconds"], 3)] for side in sides} for r in rounds], **more,
    }


def measure_finetune(args):
    data = ROOT / "datasets/sentiment"
    settings = argparse.Namespace(train=data / "amazon_train.csv", test=data / "amazon_test.csv", model=args.model, bertkit=args.bertkit,
                                  python=args.python, positive="positive", threads=args.threads, bertkit_arg=[], trainer_arg=[],
                                  check_metrics=False)
    (args.model / "model.safetensors").read_bytes()  # neither side is the first to read it from the disk
    rounds = []
    for number in range(args.long_rounds):
        result = {}
        for side in ("bertkit", "torch") if number % 2 else ("torch", "bertkit"):
            run = quality.run_bertkit if side == "bertkit" else quality.run_trainer
            result[side] = run(settings, number + 1, args.work_folder / f"finetune-{side}")
        rounds.append(result)
        tell(f"finetune, round {number + 1}: bertkit {result['bertkit']['seconds']:.1f} s (F1 {result['bertkit']['f1']:.3f}), "
             f"Trainer {result['torch']['seconds']:.1f} s (F1 {result['torch']['f1']:.3f})")
    f1 = {side: statistics.mean(r[side]["f1"] for r in rounds) for side in ("bertkit", "torch")}
    return whole("finetune", rounds, f1=f1)


def classifier(args):
    """A run of ours with a classifier: what it was trained to matters to no clock."""
    run = args.work_folder / "classifier"
    if not (run / "model/model.safetensors").is_file():
        command = [args.bertkit, "finetune", "--train", ROOT / "datasets/sentiment/amazon_train.csv", "--valid-fraction", "0", "--model", args.model,
                   "--output", run, "--overwrite", "--set", "training.max_steps=10", "--device", "cpu", "--threads", args.threads]
        quality.run(command, args.work_folder / "logs/classifier", args.threads)
    return run


def measure_eval(args):
    run = classifier(args)
    data = args.work_folder / f"texts-{args.eval_rows}.csv"
    with open(ROOT / "datasets/sentiment/amazon.csv", encoding="utf-8", newline="") as file:
        rows = [(row["text"].split(), row["label"]) for row in csv.DictReader(file)]
    draw = random.Random(1)
    with open(data, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(args.eval_rows):
            words, label = rows[number % len(rows)]
            if number >= len(rows):  # the same words in another order
                words = draw.sample(words, len(words))
            writer.writerow([" ".join(words), label])
    max_length = json.loads((run / "model/bertkit.json").read_text())["max_length"]
    rounds = []
    for number in range(args.long_rounds):
        result = {}
        for side in ("bertkit", "torch") if number % 2 else ("torch", "bertkit"):
            if side == "bertkit":
                command = [args.bertkit, "eval", run, "--data", data, "--json", "--quiet", "--device", "cpu", "--threads", args.threads]
            else:
                command = [args.python, ROOT / "scripts/peers/transformers_eval.py", run / "model", "--data", data, "--batch-size", args.eval_batch,
                           "--max-length", max_length, "--threads", args.threads]
            out, _, seconds, peak = quality.run(command, args.work_folder / f"logs/eval-{side}", args.threads)
            answer = json.loads(out)
            accuracy = answer["metrics"]["accuracy"]["value"] if side == "bertkit" else answer["accuracy"]
            result[side] = {"seconds": seconds if side == "bertkit" else answer["loop_seconds"], "peak_rss_bytes": peak,
                            "whole_seconds": seconds, "accuracy": accuracy}
        if abs(result["bertkit"]["accuracy"] - result["torch"]["accuracy"]) > 0.002:
            fail(f"eval: bertkit finds an accuracy of {result['bertkit']['accuracy']}, transformers {result['torch']['accuracy']}")
        rounds.append(result)
        tell(f"eval, round {number + 1}: bertkit {result['bertkit']['seconds']:.1f} s, transformers {result['torch']['seconds']:.1f} s")
    torch_whole = statistics.median(r["torch"]["whole_seconds"] for r in rounds)
    found = whole("eval", rounds, rows=args.eval_rows, batch=args.eval_batch, torch_whole_seconds=torch_whole)
    found["title"] = found["title"].replace("10,000", f"{args.eval_rows:,}")
    return found


def measure_predict(args):
    run = classifier(args)
    text = "the picture is sharp and it was easy to set up"
    seconds, peaks = [], []
    for _ in range(args.predictions):
        command = [args.bertkit, "predict", run, "--text", text, "--device", "cpu", "--threads", args.threads]
        _, _, once, peak = quality.run(command, args.work_folder / "logs/predict", args.threads)
        seconds.append(once)
        peaks.append(peak)
    others, other_peaks = [], []
    for _ in range(min(3, args.predictions)):
        command = [args.python, ROOT / "scripts/peers/transformers_predict.py", run / "model", "--text", text, "--threads", args.threads]
        _, _, once, peak = quality.run(command, args.work_folder / "logs/predict-torch", args.threads)
        others.append(once)
        other_peaks.append(peak)
    tell(f"predict: bertkit {statistics.median(seconds):.3f} s, transformers {statistics.median(others):.1f} s")
    return {
        "kind": "cold", "title": WHOLE["predict"], "seconds": {"bertkit": statistics.median(seconds), "torch": statistics.median(others)},
        "spread": spread(seconds), "asked_seconds": ASKED_SECONDS["predict"], "memory": {"bertkit": max(peaks), "torch": max(other_peaks)},
        "rounds": [{"bertkit": [round(s, 4) for s in seconds], "torch": [round(s, 3) for s in others]}],
    }


def measure_share(args, name):
    title, config, lengths = SHARES[name]
    rounds = []
    for number in range(args.rounds):
        result = {}
        for work in ("train", "gemm") if number % 2 else ("gemm", "train"):
            answer = bertkit_steps(args, f"{name}-{work}", config, work, lengths)
            result[work] = statistics.median(answer["seconds"])
            if work == "gemm":
                operations = answer["operations"]
        rounds.append(result)
        tell(f"{name}, round {number + 1}: {result['gemm'] / result['train']:.0%} of {result['train'] * 1e3:.1f} ms")
    seconds = {work: statistics.median(r[work] for r in rounds) for work in ("gemm", "train")}
    return {
        "kind": "share", "title": title, "seconds": seconds, "share": spread([r["gemm"] / r["train"] for r in rounds]),
        "gflops": operations / seconds["gemm"] / 1e9, "rounds": [{w: [round(r[w], 5)] for w in r} for r in rounds],
    }


def measure(args, name):
    if name in STEPS:
        return measure_steps(args, name)
    if name in SHARES:
        return measure_share(args, name)
    return {"finetune": measure_finetune, "eval": measure_eval, "predict": measure_predict}[name](args)


def commit():
    def git(*arguments):
        found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return found.stdout.strip() if found.returncode == 0 else ""

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "crates", "Cargo.toml", "Cargo.lock")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def milliseconds(seconds):
    return f"{seconds * 1e3:,.1f}" if seconds < 1 else f"{seconds * 1e3:,.0f}"


def mib(number):
    return f"{number / 2**20:,.0f}"


def met(value, asked):
    return f"≤ {asked:.2f}, {'met' if value <= asked else 'not met'}"


def ratio(found):
    return f"**{found['median']:.2f}** ({found['lowest']:.2f} to {found['highest']:.2f})"


def report(machine, results):
    """The page."""
    sections = {name: results[name] for name in WORKS if name in results}

    def of(kind):
        return [found for found in sections.values() if found["kind"] == kind]

    memory = f"{machine['memory_gib']:.0f} GiB" if machine["memory_gib"] else "unknown memory"
    lines = ["# Benchmarks", "", "Written by `scripts/bench-peers.py`, which says how each number comes about.", "",
             f"- Machine: {machine['cpu']}, {machine['cores']} cores, {memory}, {machine['system']}",
             "- Both sides in turn in the same run, float32, the same number of threads, each in a process of its own",
             "- A ratio is bertkit's time over PyTorch's: below 1, bertkit is faster. Median of the rounds, lowest and highest in brackets",
             "- Memory is the peak of the resident set of the whole process, in MiB, PyTorch's libraries included", ""]
    if of("steps"):
        lines += ["## One step", "",
                  "Random tokens, another batch each step, no padding on our side and padding to the longest on PyTorch's. A training step is",
                  "forward pass, loss, backward pass, clipping and AdamW. transformers computes the masked-LM head at every token, bertkit where",
                  "there is a mask (15 %).", "",
                  "| | bertkit ms | PyTorch ms | ratio | asked | bertkit MiB | PyTorch MiB |", "|---|---:|---:|---:|---|---:|---:|"]
        for found in of("steps"):
            lines.append(f"| {found['title']} | {milliseconds(found['seconds']['bertkit'])} | {milliseconds(found['seconds']['torch'])} | {ratio(found['ratio'])} "
                         f"| {met(found['ratio']['median'], found['asked'])} | {mib(found['memory']['bertkit'])} | {mib(found['memory']['torch'])} |")
        lines.append("")
    if of("whole"):
        lines += ["## Whole commands", "",
                  "| | bertkit s | PyTorch s | ratio | asked | bertkit MiB | PyTorch MiB | ratio of memory |", "|---|---:|---:|---:|---|---:|---:|---|"]
        for found in of("whole"):
            share = found["memory"]["bertkit"] / found["memory"]["torch"]
            asked = f" ({met(share, found['asked_memory'])})" if found["asked_memory"] else ""
            lines.append(f"| {found['title']} | {found['seconds']['bertkit']:.1f} | {found['seconds']['torch']:.1f} | {ratio(found['ratio'])} "
                         f"| {met(found['ratio']['median'], found['asked'])} | {mib(found['memory']['bertkit'])} | {mib(found['memory']['torch'])} | {share:.2f}{asked} |")
        lines.append("")
        if "finetune" in sections:
            f1 = sections["finetune"]["f1"]
            lines += [f"Fine-tuning counts from the start of the process to the saved model. F1 on the test rows: {f1['bertkit']:.3f}, the Trainer's {f1['torch']:.3f}.", ""]
        if "eval" in sections:
            found = sections["eval"]
            lines += [f"`eval` counts the whole command with 1,000 bootstrap resamples, {found['rows'] / found['seconds']['bertkit']:,.0f} rows a second; of the transformers "
                      f"loop only the loop, {found['rows'] / found['seconds']['torch']:,.0f} rows a second in batches of {found['batch']} in the order of the file, "
                      f"padded to the longest (with imports and loading {found['torch_whole_seconds']:.1f} s).", ""]
    for found in of("cold"):
        once = found["spread"]
        lines += ["## Cold start", "",
                  f"{found['title']}: median {once['median']:.3f} s, {once['lowest']:.3f} to {once['highest']:.3f} of {len(found['rounds'][0]['bertkit'])} "
                  f"(asked: {found['asked_seconds']} s, {'met' if once['median'] <= found['asked_seconds'] else 'not met'}), {mib(found['memory']['bertkit'])} MiB. "
                  f"Python with transformers: {found['seconds']['torch']:.1f} s, {mib(found['memory']['torch'])} MiB.", ""]
    if of("share"):
        lines += ["## How much of a step is matrix products", "",
                  "The products of the linear layers alone, forward and backward, by the same calls (`bertkit bench --work gemm`), beside a whole",
                  "training step with dropout 0.1.", "", "| | products ms | step ms | share | GFLOP/s of the products |", "|---|---:|---:|---:|---:|"]
        for found in of("share"):
            s = found["share"]
            lines.append(f"| {found['title']} | {milliseconds(found['seconds']['gemm'])} | {milliseconds(found['seconds']['train'])} "
                         f"| {s['median']:.0%} ({s['lowest']:.0%} to {s['highest']:.0%}) | {found['gflops']:.0f} |")
        lines.append("")
    lines += ["## Runs", "", "| works | date | bertkit | peers | load before | command |", "|---|---|---|---|---:|---|"]
    runs = {}
    for name, found in sections.items():
        runs.setdefault(json.dumps(found["run"], sort_keys=True), []).append(name)
    for text, names in runs.items():
        run = json.loads(text)
        peers = f"torch {run['versions']['torch']}, transformers {run['versions']['transformers']}"
        load = "unknown" if run["load"] is None else f"{run['load']:.1f}"
        lines.append(f"| {', '.join(names)} | {run['date']} | {run['bertkit']}, commit {run['commit']} | {peers} | {load} | `{run['command']}` |")
    chosen = sorted({f"{found['optimizer']} for {name}" for name, found in sections.items() if found.get("optimizer")})
    if chosen:
        lines += ["", f"PyTorch's AdamW, the fastest of its forms: {', '.join(chosen)}."]
    return "\n".join(lines) + "\n"


def main():
    args = parse_arguments()
    versions = check_requirements(args)
    args.work_folder.mkdir(parents=True, exist_ok=True)
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError):
        memory = None
    machine = {"cpu": quality.cpu_name(), "cores": os.cpu_count(), "memory_gib": memory and round(memory, 1),
               "system": f"{platform.system()} {platform.machine()}"}
    page, raw = args.output / "benchmarks.md", args.output / "benchmarks.json"
    results = {}
    if raw.is_file():
        before = json.loads(raw.read_text(encoding="utf-8"))
        if before["machine"] == machine:
            results = before["results"]
        elif set(args.works) != set(WORKS):
            fail(f"`{raw}` is of another machine: run every work, or name another folder with --output")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load is not None and load > 0.5:
        tell(f"note: the load is {load:.1f}; other processes are at work, and the times will show it")
    version = subprocess.run([args.bertkit, "--version"], capture_output=True, text=True).stdout.strip()
    run = {"date": datetime.date.today().isoformat(), "bertkit": version, "commit": commit(), "versions": versions, "load": load,
           "threads": args.threads, "command": shlex.join(["scripts/bench-peers.py", *shown(sys.argv[1:])])}
    for name in args.works:
        results[name] = {**measure(args, name), "run": run}
        raw.write_text(compact({"machine": machine, "results": results}), encoding="utf-8")
        page.write_text(report(machine, results), encoding="utf-8")
    print(page.read_text(encoding="utf-8"), end="")


def shown(arguments):
    """The arguments without the paths of this machine."""
    kept, hidden = [], ("--python", "--bertkit", "--model", "--work-folder", "--output")
    skip = False
    for argument in arguments:
        if not skip and not argument.startswith(tuple(f"{name}=" for name in hidden)) and argument not in hidden:
            kept.append(argument)
        skip = not skip and argument in hidden
    return kept


def compact(value):
    """JSON with one line a work."""
    works = ",\n".join(f"    {json.dumps(name)}: {json.dumps(found, ensure_ascii=False)}" for name, found in value["results"].items())
    return f'{{\n  "machine": {json.dumps(value["machine"], ensure_ascii=False)},\n  "results": {{\n{works}\n  }}\n}}\n'


if __name__ == "__main__":
    main()
