#!/usr/bin/env python3
"""Does memory grow while training goes on? Resident memory of a run of so many updates, seen from outside.

    cargo build --release --locked
    python3 scripts/check-memory.py                                  a fine-tuning on the CPU, 10,000 updates
    python3 scripts/check-memory.py --device wgpu                    on a GPU; a software one keeps its buffers in the same memory
    python3 scripts/check-memory.py --device cuda --gpu              with the memory that nvidia-smi shows for the process
    python3 scripts/check-memory.py --command pretrain               replaced tokens

Prints the memory behind each tenth of the updates, and what was added between the second tenth and the last: until then, texts of
every length have been seen and kernels been chosen. Ends with 1 if that is more than `--most` (10 %). Only the standard
library is needed, and a system with /proc.
"""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit")
    parser.add_argument("--command", choices=["finetune", "pretrain"], default="finetune")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--most", type=float, default=0.10, help="share that may be added (default: %(default)s)")
    parser.add_argument("--gpu", action="store_true", help="ask nvidia-smi too")
    return parser.parse_args()


def resident(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def on_gpu(process):
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    return sum(float(line.split(",")[1]) for line in lines if line.split(",")[0].strip() == str(process))


def steps_done(path):
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 400))
            last = file.read().decode().splitlines()[-2:]
        return max(int(line.split('"step":')[1].split(",")[0]) for line in last if '"step":' in line)
    except (OSError, IndexError, ValueError):
        return 0


def main():
    arguments = parse_arguments()
    draw = random.Random(1)
    words = [f"word{i}" for i in range(400)]
    text = lambda: " ".join(draw.choices(words, k=draw.randint(3, 28)))
    sizes = ["num_hidden_layers=%d" % arguments.layers, "hidden_size=%d" % arguments.hidden, "num_attention_heads=2",
             "intermediate_size=%d" % (2 * arguments.hidden), "max_position_embeddings=64", "family=electra"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = [arguments.bertkit, arguments.command, "--device", arguments.device, "--output", folder / "run", "--quiet"]
        if arguments.command == "finetune":
            rows = "".join(f"{text()},{i % 2}\n" for i in range(4000))
            (folder / "rows.csv").write_text("text,label\n" + rows)
            epochs = -(-arguments.steps // 1000)
            command += ["--train", folder / "rows.csv", "--valid-fraction", "0", "--batch-size", "4",
                        "--epochs", epochs, "--max-steps", arguments.steps]
        else:
            (folder / "texts.txt").write_text("\n\n".join(text() for _ in range(4000)))
            command += ["--corpus", folder / "texts.txt", "--objective", "rtd", "--batch-size", "4", "--max-length", "32",
                        "--steps", arguments.steps, "--set", "tokenizer.vocab_size=600"]
        for size in sizes:
            command += ["--set", f"model.fresh.{size}"]
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
        marks, started = [], time.monotonic()
        while process.poll() is None:
            done = steps_done(folder / "run" / "metrics.jsonl")
            if done >= (len(marks) + 1) * arguments.steps // 10:
                try:
                    marks.append((done, resident(process.pid), on_gpu(process.pid) if arguments.gpu else 0.0))
                    print(f"{done:7d} updates  {marks[-1][1]:8.1f} MiB" + (f"  GPU {marks[-1][2]:8.1f} MiB" if arguments.gpu else "")
                          + f"  {time.monotonic() - started:6.0f} s", flush=True)
                except (OSError, IndexError):
                    break
            time.sleep(0.05)
        if process.wait():
            sys.exit("error: the run failed")
    if len(marks) < 5:
        sys.exit("error: the run was too short to look at")
    worst = 0.0
    for which, name in ((1, "resident"), (2, "GPU")):
        before, after = marks[1][which], marks[-1][which]
        if before > 0.0:
            grown = after / before - 1.0
            worst = max(worst, grown)
            print(f"{name}: {before:.1f} MiB behind {marks[1][0]} updates, {after:.1f} MiB behind {marks[-1][0]}: {100 * grown:+.1f} %")
    sys.exit(1 if worst > arguments.most else 0)


if __name__ == "__main__":
    main()
