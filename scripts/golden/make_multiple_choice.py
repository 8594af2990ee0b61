#!/usr/bin/env python3
"""Write the golden cases of multiple choice: tiny models with transformers' `*ForMultipleChoice` heads.

    pip install torch transformers safetensors
    python scripts/golden/make_multiple_choice.py crates/model/tests/golden/cases [--seed 300]

The files are those of make_golden.py. Inputs are written with the choices of all rows below each other, `[rows × choices,
tokens]`; `out.logits` is `[rows, choices]`, and the loss is the mean cross-entropy over rows.
"""
import argparse
import json
import pathlib

import torch
import transformers as tf
from safetensors.torch import save_file

from make_golden import albert, bert, distilbert, electra, roberta

TINY = dict(vocab_size=41, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=24)
CHOICES = 3


def cases():
    """(folder, model class, config)"""
    yield "bert-multiple-choice", tf.BertForMultipleChoice, bert(**TINY)
    yield "roberta-multiple-choice", tf.RobertaForMultipleChoice, roberta(**TINY)
    yield "electra-multiple-choice", tf.ElectraForMultipleChoice, electra(**TINY, summary_last_dropout=0.0)
    yield "distilbert-multiple-choice", tf.DistilBertForMultipleChoice, distilbert(
        vocab_size=41, dim=16, n_layers=1, n_heads=2, hidden_dim=24, max_position_embeddings=24)
    yield "albert-multiple-choice", tf.AlbertForMultipleChoice, albert(**TINY)


def inputs(config, rows=3, length=11):
    shape = (rows * CHOICES, length)
    ids = torch.randint(5, config.vocab_size, shape)
    lengths = torch.randint(length // 2, length + 1, (shape[0],))
    lengths[0] = length
    mask = (torch.arange(length)[None] < lengths[:, None]).long()
    out = {"input_ids": torch.where(mask.bool(), ids, torch.full_like(ids, config.pad_token_id)), "attention_mask": mask}
    if getattr(config, "type_vocab_size", 0) > 1:
        out["token_type_ids"] = ((torch.arange(length)[None] >= lengths[:, None] // 2) & mask.bool()).long()
    return out, torch.randint(0, CHOICES, (rows,))


def write_case(root, name, cls, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    with torch.no_grad():  # the default init leaves biases at 0 and LayerNorm at 1: move them, so that each one counts
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    flat, labels = inputs(config)
    fed = {k: v.view(-1, CHOICES, v.size(-1)) for k, v in flat.items()}
    result = model(**fed, labels=labels, output_hidden_states=True, return_dict=True)
    result.loss.backward()
    tensors = {f"in.{k}": v for k, v in flat.items()} | {"in.labels": labels, "out.logits": result.logits.detach()}
    tensors |= {f"out.hidden_states.{i}": h.detach() for i, h in enumerate(result.hidden_states)}
    tensors |= {f"grad.{k}": p.grad for k, p in model.named_parameters() if p.grad is not None}
    folder = root / name
    model.save_pretrained(folder)
    save_file({k: v.clone().contiguous() for k, v in tensors.items()}, folder / "io.safetensors")
    (folder / "case.json").write_text(json.dumps({
        "class": cls.__name__, "labels": "choice", "loss": result.loss.item(),
        "tolerance": {"out": 2e-5, "grad": 5e-5, "measure": "max |ours - golden|"},
        "transformers": tf.__version__, "torch": torch.__version__}, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=300)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for i, (name, cls, config) in enumerate(cases()):
        write_case(args.out, name, cls, config, args.seed + i)
        print(name)
