#!/usr/bin/env python3
"""Check that bertkit learns named entities update by update as a plain transformers loop does.

    pip install torch transformers
    python scripts/check-updates.py --model models/minilm --train train.conll

Both begin from the same weights, the new layer included, without dropout, and go through the same batches: bertkit's order
of rows is drawn here again. What can differ is only rounding, so this compares tokens, labels, loss, gradients, clipping,
AdamW, weight decay and schedule together. Sentences longer than --max-length are cut here and divided there: a file that
has some is refused. Prints both sides' loss and gradient norm; exits 1 if one differs by more than --tolerance of its
size, or of 1 where it is smaller.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts/peers"))
from torch_ner import read  # noqa: E402


class Random:
    """ChaCha with eight rounds, its key drawn from the seed by PCG32, as the crate rand_chacha does it."""

    def __init__(self, seed, stream):
        self.key, self.stream, self.counter, self.words = [], stream, 0, []
        for _ in range(8):
            seed = (seed * 6364136223846793005 + 11634580027462260723) % 2**64
            word, turn = ((seed >> 18 ^ seed) >> 27) % 2**32, seed >> 59
            self.key.append((word >> turn | word << (32 - turn)) % 2**32)

    def block(self):
        halves = [half for number in (self.counter, self.stream) for half in (number % 2**32, number >> 32)]
        first = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *self.key, *halves]
        x = list(first)
        columns = [(i, 4 + i, 8 + i, 12 + i) for i in range(4)]
        diagonals = [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)]
        for a, b, c, d in 4 * (columns + diagonals):
            for to, other, turned, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[to] = (x[to] + x[other]) % 2**32
                x[turned] ^= x[to]
                x[turned] = (x[turned] << turn | x[turned] >> (32 - turn)) % 2**32
        self.words += [(a + b) % 2**32 for a, b in zip(x, first)]
        self.counter += 1

    def below(self, bound):
        while True:
            if not self.words:
                self.block()
            low, high = self.words.pop(0), self.words.pop(0)
            product = (low | high << 32) * bound
            if product % 2**64 >= -bound % 2**64 % bound:
                return product >> 64

    def order(self, count):
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--word-column", type=int, default=1)
    parser.add_argument("--tag-column", type=int, default=0, help="0 is the last")
    parser.add_argument("--type-name", default="ENTITY")
    parser.add_argument("--steps", type=int, default=30, help="updates (default: %(default)s; one pass at most)")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--bertkit", type=pathlib.Path, default=ROOT / "target/release/bertkit")
    args = parser.parse_args()

    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    sentences = read(args.train, args.word_column, args.tag_column, args.type_name)
    types = sorted({tag[2:] for _, tags in sentences for tag in tags if tag != "O"})
    names = ["O"] + [f"{letter}-{kind}" for kind in types for letter in "BI"]
    ids = {name: number for number, name in enumerate(names)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model, add_prefix_space=True)
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        args.model, num_labels=len(names), id2label=dict(enumerate(names)), label2id=ids,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0)

    rows = []
    for words, tags in sentences:
        coded = tokenizer(words, is_split_into_words=True)
        labels, before = [], None
        for word in coded.word_ids():
            labels.append(ids[tags[word]] if word is not None and word != before else -100)
            before = word
        if len(labels) > args.max_length:
            sys.exit(f"error: a sentence has {len(labels)} tokens, expected at most {args.max_length}\n\nhint: raise --max-length")
        rows.append((coded["input_ids"], labels))
    steps = min(args.steps, -(-len(rows) // 16))

    ours = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model.save_pretrained(folder / "start")
        tokenizer.save_pretrained(folder / "start")
        tag = ["--tag-column", args.tag_column] if args.tag_column else []
        command = [args.bertkit.resolve(), "finetune", "--task", "ner", "--model", folder / "start", "--train", args.train, "--valid-fraction", 0,
                   "--word-column", args.word_column, *tag, "--type-name", args.type_name, "--max-steps", steps, "--batch-size", 16, "--learning-rate",
                   args.learning_rate, "--max-length", args.max_length, "--seed", args.seed, "--threads", args.threads, "--device", "cpu",
                   "--output", folder / "run", "--quiet"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        for line in (folder / "run/metrics.jsonl").read_text().splitlines():
            line = json.loads(line)
            if line["split"] == "train":
                ours[line["step"], line["name"]] = line["value"]

    plain = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=args.learning_rate)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * steps), steps)
    model.train()
    order, worst = Random(args.seed, 1).order(len(rows)), 0.0
    print("update  loss: bertkit  transformers  gradient norm: bertkit  transformers")
    for step in range(steps):
        part = [rows[at] for at in order[16 * step:16 * step + 16]]
        longest = max(len(tokens) for tokens, _ in part)
        fed = {"input_ids": [tokens + [tokenizer.pad_token_id] * (longest - len(tokens)) for tokens, _ in part],
               "attention_mask": [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens, _ in part],
               "labels": [labels + [-100] * (longest - len(labels)) for _, labels in part]}
        loss = model(**{name: torch.tensor(values) for name, values in fed.items()}).loss
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        pairs = [(ours[step + 1, "loss"], loss.item()), (ours[step + 1, "gradient_norm"], norm)]
        worst = max([worst, *(abs(a - b) / max(abs(b), 1.0) for a, b in pairs)])
        print(f"{step + 1:6}  {pairs[0][0]:13.6f}  {pairs[0][1]:12.6f}  {pairs[1][0]:22.6f}  {pairs[1][1]:12.6f}")
    print(f"largest difference {worst:.2e}, of which {args.tolerance:.0e} is allowed")
    sys.exit(worst > args.tolerance)


if __name__ == "__main__":
    main()
