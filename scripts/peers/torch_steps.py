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
cover every token; labels are -100 but at 15 %. Attention by scaled_dot_product_attention; float32 on the CPU without
torch.compile, if nothing else is asked for.

--precision bf16 and f16 train under autocast, with float32 weights (f16 with GradScaler); forward has its weights in that type.
tf32 lets float32 products use TF32, f32 does not. On a GPU a step ends when the device has done it.
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
LOW = {"bf16": "bfloat16", "f16": "float16"}
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
    parser.add_argument("--device", default="cpu", help="where torch computes (default: %(default)s)")
    parser.add_argument("--precision", choices=("f32", "tf32", "bf16", "f16"), default="f32", help="of matrix products (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="put the model through torch.compile")
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
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    if args.work == "forward" and args.precision in LOW:
        model = model.to(getattr(torch, LOW[args.precision]))
    model = model.to(args.device).train(args.work != "forward")
    lengths = [int(n) for n in args.lengths.split(",")]
    if len(lengths) == 1:
        lengths *= args.batch or 1
    return torch, model, Inputs(torch, lengths, config.vocab_size)


class Steps:
    """Times steps of a model, each from its inputs on the device to its end there."""

    def __init__(self, args, torch, model, inputs, form):
        self.args, self.torch, self.model, self.inputs = args, torch, model, inputs
        self.optimizer = None if args.work == "forward" else adamw(torch, model, form)
        self.scaler = torch.amp.GradScaler(args.device, enabled=args.precision == "f16" and args.work != "forward")
        self.forward = torch.compile(model) if args.compile else model

    def context(self):
        if self.args.work == "forward":
            return self.torch.inference_mode()
        if self.args.precision in LOW:
            return self.torch.autocast(self.args.device.split(":")[0], dtype=getattr(self.torch, LOW[self.args.precision]))
        return contextlib.nullcontext()

    def wait(self):
        if self.args.device != "cpu":
            self.torch.cuda.synchronize()

    def timed(self, warmup, steps):
        torch, work = self.torch, self.args.work
        batches = []
        for step in range(warmup + steps):
            batch = self.inputs.batch(step)
            if work == "train":
                batch["labels"] = self.inputs.classes(step)
            elif work == "mlm":
                batch["labels"] = self.inputs.labels(step, batch["input_ids"])
            batches.append({name: tensor.to(self.args.device) for name, tensor in batch.items()})
        seconds = []
        self.wait()
        for batch in batches:
            began = time.perf_counter()
            with self.context():
                output = self.forward(**batch)
            if work != "forward":
                self.scaler.scale(output.loss).backward()
                self.scaler.unscale_(self.optimizer)
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.scaler.step(self.optimizer)
                self.scaler.update()
                self.optimizer.zero_grad(set_to_none=True)
                output.loss.item()
            self.wait()
            seconds.append(time.perf_counter() - began)
            del output
        return seconds[warmup:]

    def device_bytes(self):
        """The most that was reserved of a GPU's memory."""
        return None if self.args.device == "cpu" else self.torch.cuda.max_memory_reserved()


def peak_rss_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def say(**values):
    print(json.dumps(values), flush=True)


def main():
    args = parse_arguments()
    torch, model, inputs = build(args)
    if args.choose_optimizer:
        medians = {form: statistics.median(Steps(args, torch, model, inputs, form).timed(1, 3)) for form in ("fused", "foreach", "loop")}
        say(optimizer=min(medians, key=medians.get), seconds=medians)
        return
    steps = Steps(args, torch, model, inputs, args.optimizer)
    say(ready=True, parameters=sum(p.numel() for p in model.parameters()), torch=torch.__version__,
        transformers=__import__("transformers").__version__, threads=torch.get_num_threads())
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = steps.timed(asked["warmup"], asked["steps"])
        say(seconds=seconds, peak_rss_bytes=peak_rss_bytes(), device_bytes=steps.device_bytes())


if __name__ == "__main__":
    main()
