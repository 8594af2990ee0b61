#!/usr/bin/env python3
"""Check that tokenizers that bertkit trained give the same ids in transformers.

    pip install transformers

    bertkit tokenizer train corpus --type unigram --output tok
    python scripts/check-tokenizers.py tok --input corpus/some.txt

Loads each folder by AutoTokenizer and by `bertkit tokenizer show`, and compares the ids of every line, special tokens
included. Overlapping k-mers are cut before transformers reads them, as DNABERT's authors do.

Exits 0 if all ids agree, 1 if some do not, 2 on wrong usage.
"""

import argparse
import json
import pathlib
import subprocess
import sys

# Read besides the lines of --input: spaces, accents, other scripts, an emoji, special tokens spelt out.
TEXTS = [
    "",
    " leading,  double and trailing spaces ",
    "Ünïcödé naïve café — “quoted” … 日本語のテキスト Љубав ЉУБАВ \U0001f600 ﬁ ①",
    "A text that spells [CLS] and [SEP] and [MASK] and <s> and <mask> out.",
    "tab\tand\nnew line, \"quotes\" (brackets) can't won't 3.14",
    "ACGTACGUNacgtTTGGA",
    "x" * 300,
]

AT_ONCE = 200


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", nargs="+", type=pathlib.Path, help="folders")
    parser.add_argument("--input", type=pathlib.Path, action="append", default=[], help="text, a line at a time; may be repeated")
    parser.add_argument("--lines", type=int, default=2000, help="lines of each input (default: %(default)s)")
    parser.add_argument("--bertkit", default="target/release/bertkit", help="the program (default: %(default)s)")
    return parser.parse_args()


def cut(text, rule):
    size, stride = rule["size"], rule["stride"]
    if size == stride:
        return text
    pieces = []
    for sequence in text.split():
        pieces += [sequence[at:at + size] for at in range(0, len(sequence) - size + 1, stride)]
    return " ".join(pieces)


def ours(bertkit, folder, family, texts):
    ids = []
    for first in range(0, len(texts), AT_ONCE):
        command = [bertkit, "tokenizer", "show", str(folder), "--family", family, "--", *texts[first:first + AT_ONCE]]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
        for block in result.stdout.rstrip("\n").split("\n\n"):
            ids.append([int(line.split("\t")[0]) for line in block.split("\n")])
    return ids


def main():
    args = arguments()
    from transformers import AutoTokenizer

    texts = list(TEXTS)
    for path in args.input:
        texts += path.read_text(encoding="utf-8").splitlines()[:args.lines]
    texts = [text.replace("\0", "") for text in texts]
    wrong = False
    for folder in args.tokenizers:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        rule = config.get("bertkit_kmers")
        theirs = AutoTokenizer.from_pretrained(folder)
        family = "roberta" if theirs.cls_token == "<s>" else "bert"
        found = ours(args.bertkit, folder, family, texts)
        read = [cut(text, rule) if rule else text for text in texts]
        expected = [theirs(text, verbose=False)["input_ids"] for text in read]
        different = [at for at in range(len(texts)) if found[at] != expected[at]]
        kind = type(theirs).__name__
        print(f"{folder}: {kind}, {len(theirs)} tokens, {len(texts) - len(different)} of {len(texts)} texts agree")
        for at in different[:3]:
            print(f"  {texts[at]!r}\n  bertkit      {found[at]}\n  transformers {expected[at]}")
        wrong |= bool(different) or theirs.mask_token_id is None
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
