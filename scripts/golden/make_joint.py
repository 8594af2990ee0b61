"""The loss, gradients and beam of ELECTRA's joint head for answers, on padded batches in PyTorch.

    python scripts/golden/make_joint.py > crates/model/tests/golden/joint.json

The head is that of google-research/electra (finetune/qa/qa_tasks.py), with its mask of candidates: the first token, and all
from the text's first on. Numbers are computed in double precision.
"""

import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

HIDDEN, WIDTH = 4, 512


def make(seed, lengths, texts, starts, ends, impossible, beam, answerable):
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float64)
    rows = torch.randn(sum(lengths), HIDDEN)
    layers = {
        "outputs": nn.Linear(HIDDEN, 2),
        "end_hidden": nn.Linear(2 * HIDDEN, WIDTH),
        "end_score": nn.Linear(WIDTH, 1),
    }
    if answerable:
        layers["answerable.hidden"] = nn.Linear(2 * HIDDEN, WIDTH)
        layers["answerable.score"] = nn.Linear(WIDTH, 1)
    # What the file holds is what is computed with.
    rows = torch.round(rows, decimals=4).requires_grad_()
    for layer in layers.values():
        for parameter in layer.parameters():
            parameter.data = torch.round(parameter.data, decimals=4)

    longest = max(lengths)
    padded, mask, at = [], torch.zeros(len(lengths), longest), 0
    for window, length in enumerate(lengths):
        padded.append(F.pad(rows[at : at + length], (0, 0, 0, longest - length)))
        mask[window, 0] = 1
        mask[window, texts[window] : length] = 1
        at += length
    hidden = torch.stack(padded)  # windows, longest, hidden
    low = 1000.0 * (mask - 1)

    start_logits = layers["outputs"](hidden)[..., 0] + low

    def end_logits(start_rows):
        """The scores of all ends behind starts, [windows, starts, hidden] to [windows, starts, longest]."""
        count = start_rows.shape[1]
        first = start_rows[:, :, None].expand(-1, -1, longest, -1)
        last = hidden[:, None].expand(-1, count, -1, -1)
        wide = F.gelu(layers["end_hidden"](torch.cat([first, last], -1)))
        return layers["end_score"](wide)[..., 0] + low[:, None]

    windows = torch.arange(len(lengths))
    known = hidden[windows, torch.tensor(starts)][:, None]
    loss = F.cross_entropy(start_logits, torch.tensor(starts), reduction="sum") / 2
    loss = loss + F.cross_entropy(end_logits(known)[:, 0], torch.tensor(ends), reduction="sum") / 2
    null = None
    if answerable:
        expected = (start_logits.softmax(-1)[..., None] * hidden).sum(1)
        wide = F.gelu(layers["answerable.hidden"](torch.cat([hidden[:, 0], expected], -1)))
        null = layers["answerable.score"](wide)[:, 0]
        target = torch.tensor(impossible, dtype=torch.float64)
        loss = loss + 0.5 * F.binary_cross_entropy_with_logits(null, target, reduction="sum")
    loss.backward()

    start_log = start_logits.log_softmax(-1)
    decoded = []
    for window in range(len(lengths)):
        candidates = int(mask[window].sum())
        k = min(beam, candidates)
        spans = []
        start_top = start_log[window].topk(k)
        for score, start in zip(start_top.values.tolist(), start_top.indices.tolist()):
            chosen = hidden[:, start][:, None]
            ends_log = end_logits(chosen)[window, 0].log_softmax(-1)
            end_top = ends_log.topk(k)
            for end_score, end in zip(end_top.values.tolist(), end_top.indices.tolist()):
                spans.append([start, end, score, end_score])
        if answerable:
            nothing = null[window].item()
        else:
            ends_log = end_logits(hidden[:, 0][:, None])[window, 0].log_softmax(-1)
            nothing = (start_log[window, 0] + ends_log[0]).item()
        decoded.append({"spans": spans, "null": nothing})

    weights, gradients = {}, {"hidden": rows.grad}
    for name, layer in layers.items():
        for leaf, parameter in layer.named_parameters():
            weights[f"{name}.{leaf}"] = parameter.data
            gradients[f"{name}.{leaf}"] = parameter.grad
    return {
        "lengths": lengths,
        "texts": texts,
        "starts": starts,
        "ends": ends,
        "impossible": impossible,
        "beam": beam,
        "hidden": rows.tolist(),
        "weights": {name: [round(x, 4) for x in value.flatten().tolist()] for name, value in weights.items()},
        "loss": loss.item(),
        "gradients": {name: [float(f"{x:.7g}") for x in value.flatten().tolist()] for name, value in gradients.items()},
        "decoded": decoded,
    }


CASES = [
    dict(seed=1, lengths=[9, 6, 12], texts=[3, 4, 5], starts=[4, 0, 7], ends=[6, 0, 7],
         impossible=[False, True, False], beam=3, answerable=True),
    dict(seed=2, lengths=[7, 10], texts=[3, 4], starts=[3, 5], ends=[6, 8],
         impossible=[False, False], beam=20, answerable=False),
]

if __name__ == "__main__":
    json.dump([make(**case) for case in CASES], sys.stdout, separators=(",", ":"))
    print()
