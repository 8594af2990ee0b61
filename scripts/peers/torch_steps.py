#!/usr/bin/env python3
"""Time forward passes and training steps of transformers' models: the peer of `bertkit bench`.

    pip install torch transformers

    echo '{"warmup": 2, "steps": 5}' | python scripts/peers/torch_steps.py --config configs/models/minilm-6x384.toml \
        --work train --lengths 128 --batch 16 --dropout 0.1 --threads 2

Builds the model once, prints a line of JSON when it is ready, and then answers each line of standard input with one
line: the seconds of each step. Between the lines it sleeps. The inputs are the numbers that `bertkit bench` draws, step
by step, padded to the longest sequence as a tokenizer does.

forward is AutoModelForSequenceClassification under torch.inference_mode. train is forward pass, loss, backward pass,
clip_grad_norm_, AdamW and zero_grad(set_to_none=True). mlm is the same of AutoModelForMaskedLM, whose head and loss
cover every token; labels are -100 but at 15 %. float32, attention by scaled_dot_product_attention, no torch.compile.
"""

import argparse
import contextlib
import json
import pathlib
import resource
import statistics
import sys
import time
import tomllib

SEED = 42
FIRST_WORD = 5
MASK = (1 << 64) - 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=pathlib.Path, required=True, help="sizes of the encoder: a file of configs/models")
    parser.add_argument("--work", choices=("forward", "train", "mlm"), required=True)
    parser.add_argument("--lengths", required=True, help="tokens of each sequence, divided by commas; one number with --batch")
    parser.add_argument("--batch", type=int, help="sequences, if all have the same length")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--optimizer", choices=("fused", "foreach", "loop"), default="fused", help="form of AdamW (default: %(default)s)")
    parser.add_argument("--choose-optimizer", action="store_true", help="time every form of AdamW, print the fastest, and end")
    return parser.parse_args()


def mix(x):
    """The finalizer of SplitMix64 over a golden-ratio step."""
    z = (x + 0x9E37_79B9_7F4A_7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & MASK
    return z ^ (z >> 31)


def numbers(stream, step, places):
    first = mix(mix(SEED ^ stream) ^ step)
    return [mix(first ^ place) for place in places]


class Inputs:
    """The numbered batches of random tokens that `bertkit bench` draws."""

    def __init__(self, torch, lengths, vocabulary):
        self.torch, self.lengths, self.vocabulary = torch, lengths, vocabulary
        self.longest = max(lengths)

    def batch(self, step):
        torch = self.torch
        ids = torch.zeros(len(self.lengths), self.longest, dtype=torch.long)
        attended = torch.zeros_like(ids)
        drawn = numbers(0, step, range(sum(self.lengths)))
        first = 0
        for row, length in enumerate(self.lengths):
            words = [FIRST_WORD + number % (self.vocabulary - FIRST_WORD) for number in drawn[first : first + length]]
            ids[row, :length] = torch.tensor(words)
            attended[row, :length] = 1
            first += length
        return {"input_ids": ids, "attention_mask": attended, "token_type_ids": torch.zeros_like(ids)}

    def classes(self, step):
        return self.torch.tensor([number % 2 for number in numbers(1, step, range(len(self.lengths)))])

    def labels(self, step, ids):
        labels = self.torch.full_like(ids, -100)
        first = 0
        for row, length in enumerate(self.lengths):
            keys = numbers(2, step, range(first, first + length))
            places = sorted(range(length), key=keys.__getitem__)[: max(1, length * 15 // 100)]
            labels[row, places] = ids[row, places]
            first += length
        return labels


def adamw(torch, model, form):
    decayed = [p for name, p in model.named_parameters() if not name.endswith("bias") and "LayerNorm" not in name]
    others = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=5e-5, **{"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}[form])


def build(args):
    import torch
    from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, BertConfig, logging

    logging.set_verbosity_error()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    file = tomllib.loads(args.config.read_text(encoding="utf-8"))
    sizes = file["model"]["fresh"]
    if sizes.get("family", "bert") != "bert":
        sys.exit("error: only sizes of the family bert are timed")
    config = BertConfig(
        vocab_size=file["tokenizer"]["vocab_size"], hidden_size=sizes["hidden_size"], num_hidden_layers=sizes["num_hidden_layers"],
        num_attention_heads=sizes["num_attention_heads"], intermediate_size=sizes["intermediate_size"],
        max_position_embeddings=sizes["max_position_embeddings"], hidden_dropout_prob=args.dropout,
        attention_probs_dropout_prob=args.dropout, num_labels=2)
    kind = AutoModelForMaskedLM if args.work == "mlm" else AutoModelForSequenceClassification
    model = kind.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    model.train(args.work != "forward")
    lengths = [int(n) for n in args.lengths.split(",")]
    if len(lengths) == 1:
        lengths *= args.batch or 1
    return torch, model, Inputs(torch, lengths, config.vocab_size)


def timed(torch, model, inputs, optimizer, work, warmup, steps):
    batches = []
    for step in range(warmup + steps):
        batch = inputs.batch(step)
        if work == "train":
            batch["labels"] = inputs.classes(step)
        elif work == "mlm":
            batch["labels"] = inputs.labels(step, batch["input_ids"])
        batches.append(batch)
    seconds = []
    with torch.inference_mode() if work == "forward" else contextlib.nullcontext():
        for batch in batches:
            began = time.perf_counter()
            output = model(**batch)
            if work != "forward":
                output.loss.item()
                output.loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            seconds.append(time.perf_counter() - began)
            del output
    return seconds[warmup:]


def peak_rss_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def say(**values):
    print(json.dumps(values), flush=True)


def main():
    args = parse_arguments()
    torch, model, inputs = build(args)
    if args.choose_optimizer:
        medians = {}
        for form in ("fused", "foreach", "loop"):
            optimizer = adamw(torch, model, form)
            medians[form] = statistics.median(timed(torch, model, inputs, optimizer, args.work, 1, 3))
            del optimizer
        say(optimizer=min(medians, key=medians.get), seconds=medians)
        return
    optimizer = None if args.work == "forward" else adamw(torch, model, args.optimizer)
    say(ready=True, parameters=sum(p.numel() for p in model.parameters()), torch=torch.__version__,
        transformers=__import__("transformers").__version__, threads=torch.get_num_threads())
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = timed(torch, model, inputs, optimizer, args.work, asked["warmup"], asked["steps"])
        say(seconds=seconds, peak_rss_bytes=peak_rss_bytes())


if __name__ == "__main__":
    main()
