#!/usr/bin/env python3
"""Time bertkit beside PyTorch on a GPU, and print a table of tokens a second, ratios and memory.

    cargo build --release --locked --features cuda           # or cuda-nvrtc, as README says
    python3 -m venv venv && venv/bin/pip install torch transformers
    venv/bin/python scripts/bench-gpu.py                      # BERT-base and MiniLM, 128 and 512 tokens, f32, tf32, bf16
    venv/bin/python scripts/bench-gpu.py --models base --lengths 128 --works train --precisions bf16
    venv/bin/python scripts/bench-gpu.py --device cpu --models mini --lengths 32 --tokens 256 --precisions f32

The same batches of random tokens on both sides, `--tokens` of them a step; in turn, round by round, and the side that goes
first alternates. A ratio is bertkit's tokens a second over PyTorch's: above 1, bertkit is faster. It is taken of the medians
of a round, and the table has the rounds' median. PyTorch is transformers' BERT with scaled_dot_product_attention and the fused
AdamW, as it is and through torch.compile; the faster of the two counts. bf16 and f16 train under autocast there, and
compute forward passes with weights of that type. bertkit's numbers are those of `bertkit bench`.

Memory is what either has reserved of the GPU's own (torch.cuda.max_memory_reserved; bertkit's pools). `cold` is the first
step of a process that finds no cache of chosen kernels, `warm` that of the next process.

This file itself needs only the standard library; `--python` names the interpreter that has the packages. scripts/gpu-check.sh
says whether the device computes the right numbers.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import torch_process  # beside this file

ROOT = torch_process.ROOT
MODELS = {"base": "base.toml", "minilm": "minilm-6x384.toml", "mini": "mini.toml", "tiny": "tiny.toml"}
# The least that is aimed at, by work and precision.
FLOORS = {("train", "f32"): 0.5, ("train", "tf32"): 0.5, ("train", "bf16"): 0.4, ("train", "f16"): 0.4}
FORWARD_FLOOR = 0.7


def listed(choices, kind=str):
    def parse(text):
        try:
            values = [kind(part) for part in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f"`{text}` is not made of whole numbers, divided by commas") from None
        if choices and (unknown := [value for value in values if value not in choices]):
            raise argparse.ArgumentTypeError(f"`{unknown[0]}` is none of {', '.join(choices)}")
        return values

    return parse


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: %(default)s)")
    parser.add_argument("--models", type=listed(MODELS), default=["base", "minilm"], help=f"of {', '.join(MODELS)} (default: base,minilm)")
    parser.add_argument("--lengths", type=listed(None, int), default=[128, 512], help="tokens of a sequence (default: 128,512)")
    parser.add_argument("--works", type=listed(("train", "forward", "mlm")), default=["train", "forward"], help="default: train,forward")
    parser.add_argument("--precisions", type=listed(("f32", "tf32", "bf16", "f16")), default=["f32", "tf32", "bf16"], help="default: f32,tf32,bf16")
    parser.add_argument("--tokens", type=int, default=8192, help="tokens of a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=20, help="timed steps a round (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--no-first-step", action="store_true", help="leave the first steps of cold and warm processes out")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both sides (default: all, %(default)s)")
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit", help="default: target/release/bertkit")
    parser.add_argument("--python", default=sys.executable, help="Python with torch and transformers (default: this one)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every measurement there too")
    args = parser.parse_args()
    for name in ("tokens", "rounds", "steps", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is at least 1")
    if args.warmup < 0:
        parser.error("--warmup is at least 0")
    if min(args.lengths) < 1:
        parser.error("--lengths are at least 1")
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder `{args.json.absolute().parent}`")
    args.bertkit = args.bertkit.absolute()
    if max(args.lengths) > args.tokens:
        parser.error(f"a batch of {args.tokens} tokens holds no sequence of {max(args.lengths)}: raise --tokens")
    return args


def fail(message, hint):
    sys.exit(f"error: {message}\n\nhint: {hint}")


def tell(text):
    print(text, file=sys.stderr, flush=True)


def sizes(work):
    return ROOT / "configs/models" / MODELS[work["model"]]


def bertkit(args, work, warmup, steps, caches=None):
    """One measurement. `caches`: a folder in which alone what was chosen and compiled before is looked for."""
    command = [args.bertkit, "bench", "--json", "--config", sizes(work), "--work", work["work"],
               "--precision", work["precision"], "--lengths", work["length"], "--batch", work["batch"], "--dropout", "0.1",
               "--warmup", warmup, "--steps", steps, "--device", args.device, "--threads", args.threads]
    environment = dict(os.environ)
    if caches:
        environment.update({name: caches for name in ("XDG_CACHE_HOME", "CUDA_CACHE_PATH", "MESA_SHADER_CACHE_DIR")})
    # In a Cargo project the cache of chosen kernels is the project's.
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, cwd=caches)
    if done.returncode:
        return None, done.stderr.strip()
    return json.loads(done.stdout), None


class Torch(torch_process.TorchProcess):
    """PyTorch's side; `why` is the last that it said where it has ended."""

    def __init__(self, args, work, compiled):
        self.errors, self.why = tempfile.TemporaryFile("w+"), None
        more = ["--batch", work["batch"], "--dropout", "0.1", "--device", args.device, "--precision", work["precision"],
                *(["--compile"] if compiled else [])]
        super().__init__(args.python, sizes(work), work["work"], [work["length"]], args.threads, more, stderr=self.errors,
                         env=dict(os.environ, HF_HUB_OFFLINE="1"))

    def read(self):
        answer = super().read()
        if answer is None:
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines()
            self.why = lines[-1] if lines else f"it ended with {self.child.returncode}"
        return answer

    def close(self):
        super().close()
        self.errors.close()


def measure(args, work):
    """One row: the medians of each side, round by round."""
    forms = [False] if args.no_compile else [False, True]
    name = f"{work['model']}, {work['batch']} × {work['length']}, {work['work']}, {work['precision']}"
    rounds, memory, why = [], {}, {}
    peers = {form: Torch(args, work, form) for form in forms}
    for form, peer in peers.items():
        if peer.why:
            why["compiled" if form else "torch"] = peer.why
    for number in range(args.rounds):
        found = {}
        for side in ("bertkit", "torch") if number % 2 else ("torch", "bertkit"):
            if side == "bertkit":
                answer, error = bertkit(args, work, args.warmup, args.steps)
                if error:
                    why["bertkit"] = error.splitlines()[0]
                    continue
                found[side] = statistics.median(answer["seconds"])
                memory[side] = answer["peak_memory_bytes"]
                continue
            for form, peer in peers.items():
                key = "compiled" if form else "torch"
                answer = None if peer.why else peer.ask(args.warmup, args.steps)
                if answer is None:
                    why[key] = peer.why
                    continue
                found[key] = statistics.median(answer["seconds"])
                memory[key] = answer["device_bytes"] or answer["peak_rss_bytes"]
        rounds.append(found)
        tell(f"{name}, round {number + 1}: " + ", ".join(f"{side} {seconds * 1e3:.1f} ms" for side, seconds in found.items()))
    versions = next((peer.greeting for peer in peers.values() if peer.greeting), None)
    for peer in peers.values():
        peer.close()
    row = {**work, "rounds": rounds, "memory": memory, "why": why, "versions": versions}
    if not args.no_first_step and "bertkit" not in why:
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("cold", "warm"):
                answer, _ = bertkit(args, work, 0, 1, folder)
                row[kind] = answer and answer["seconds"][0]
    return row


def ratios(row):
    """Of each round, over the faster of PyTorch's forms."""
    complete = [r for r in row["rounds"] if "bertkit" in r and ("torch" in r or "compiled" in r)]
    return [min(r[side] for side in ("torch", "compiled") if side in r) / r["bertkit"] for r in complete]


def report(rows):
    print("| model | batch | work | precision | bertkit tokens/s | PyTorch | compiled | ratio | asked | bertkit GiB | PyTorch GiB | first step, cold / warm |")
    print("|---|---|---|---|---:|---:|---:|---:|---|---:|---:|---|")
    for row in rows:
        tokens = row["batch"] * row["length"]

        def rate(side):
            seconds = [r[side] for r in row["rounds"] if side in r]
            return f"{tokens / statistics.median(seconds):,.0f}" if seconds else "none"

        found = ratios(row)
        asked = FORWARD_FLOOR if row["work"] == "forward" else FLOORS.get((row["work"], row["precision"]))
        middle = statistics.median(found) if found else None
        met = "" if asked is None else f"≥ {asked}" + ("" if middle is None else ", met" if middle >= asked else ", not met")
        text = "none" if middle is None else f"{middle:.2f} ({min(found):.2f} to {max(found):.2f})"
        gib = {side: f"{number / 2**30:.2f}" if number else "unknown" for side, number in row["memory"].items()}
        peer = min((row["memory"][side] for side in ("torch", "compiled") if row["memory"].get(side)), default=None)
        first = " / ".join(f"{row[kind]:.1f} s" if row.get(kind) else "unknown" for kind in ("cold", "warm"))
        print(f"| {row['model']} | {row['batch']} × {row['length']} | {row['work']} | {row['precision']} | {rate('bertkit')} | {rate('torch')} | {rate('compiled')} "
              f"| {text} | {met} | {gib.get('bertkit', 'unknown')} | {f'{peer / 2**30:.2f}' if peer else 'unknown'} | {first} |")
    for row in rows:
        for side, why in row["why"].items():
            print(f"\n{row['model']}, {row['length']}, {row['work']}, {row['precision']}: {side} has no number: {why}")


def main():
    args = parse_arguments()
    if not os.access(args.bertkit, os.X_OK):
        fail(f"`{args.bertkit}` is missing", "cargo build --release --locked --features cuda, or name it with --bertkit")
    if shutil.which(args.python) is None:
        fail(f"there is no `{args.python}`", "name a Python that has torch and transformers with --python")
    found = subprocess.run([args.python, "-c", "import torch, transformers; print(torch.cuda.is_available())"], capture_output=True, text=True)
    if found.returncode:
        fail(f"`{args.python}` cannot import torch and transformers", "python3 -m venv venv && venv/bin/pip install torch transformers, then --python venv/bin/python")
    if args.device != "cpu" and found.stdout.strip() != "True":
        fail("PyTorch finds no GPU", "look at NVIDIA's driver (nvidia-smi) and at torch's build, or take --device cpu")
    listing = subprocess.run([args.bertkit, "devices"], capture_output=True, text=True).stdout
    wanted = args.device if ":" in args.device or args.device == "cpu" else f"{args.device}:0"
    line = next((line for line in listing.splitlines() if line.split() and line.split()[0] == wanted), None)
    if line is None:
        fail(f"bertkit finds no {wanted}", "see `bertkit devices`; CUDA needs the feature cuda or cuda-nvrtc")
    rows = []
    for model in args.models:
        for length in args.lengths:
            for kind in args.works:
                for precision in args.precisions:
                    work = {"model": model, "length": length, "batch": args.tokens // length, "work": kind, "precision": precision}
                    rows.append(measure(args, work))
                    if args.json:
                        args.json.write_text(json.dumps({"device": line, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    versions = next((row["versions"] for row in rows if row["versions"]), None)
    print(f"{' '.join(line.split())}; {args.threads} threads; " + (f"torch {versions['torch']}, transformers {versions['transformers']}" if versions else "no torch") + "\n")
    report(rows)
    if any(row["why"] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
