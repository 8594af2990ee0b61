#!/usr/bin/env python3
"""Write a model folder whose new layer over tags transformers has drawn, for `bertkit finetune --task ner --model FOLDER`.

    pip install torch transformers
    python scripts/peers/draw_layer.py --model models/minilm --train train.conll --output start --seed 1

It has N(0, initializer_range); with --cut it is drawn again, cut off at two standard deviations, as bertkit draws fresh weights.
Tags are the last column of --train; bertkit reads the layer if they are the ones of its own file.
"""

import argparse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True)
parser.add_argument("--train", required=True)
parser.add_argument("--output", required=True)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--cut", action="store_true")
args = parser.parse_args()

import torch
import transformers

with open(args.train, encoding="utf-8-sig") as lines:
    tags = {line.split()[-1] for line in lines if line.strip()}
names = ["O"] + [f"{letter}-{kind}" for kind in sorted({tag[2:] for tag in tags if tag != "O"}) for letter in "BI"]
torch.manual_seed(args.seed)
model = transformers.AutoModelForTokenClassification.from_pretrained(
    args.model, num_labels=len(names), id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
if args.cut:
    deviation = model.config.initializer_range
    torch.nn.init.trunc_normal_(model.classifier.weight, 0.0, deviation, -2 * deviation, 2 * deviation)
model.save_pretrained(args.output)
transformers.AutoTokenizer.from_pretrained(args.model).save_pretrained(args.output)
