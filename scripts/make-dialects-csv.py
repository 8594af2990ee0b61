#!/usr/bin/env python3
"""Make datasets/dialects/{train,test}.csv: eight close languages, one sentence a row.

Needs nothing but Python 3.9 or newer. The source is a folder with one text file per language (`bosnian.txt`,
`croatian.txt`, ...), each the `testdata/sentences.txt` of a language crate of the lingua detector, version 1.3.0
(Apache-2.0): `lingua-danish-language-model` and so on.

    python3 scripts/make-dialects-csv.py FOLDER

Columns: text, label (the file's name). In each file the lines 5, 10, 15, ... are test rows, the others train rows, so
both sides hold the eight languages in equal parts. Rows go round the languages in alphabetical order: the first
sentence of each, then the second of each.
"""

import argparse
import csv
import pathlib
import sys

LANGUAGES = ("bokmal", "bosnian", "croatian", "danish", "nynorsk", "serbian", "slovene", "swedish")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="folder with the eight text files")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent / "datasets/dialects",
                        help="folder to write to (default: datasets/dialects of this checkout)")
    args = parser.parse_args()

    sentences = []
    for language in LANGUAGES:
        path = args.source / f"{language}.txt"
        if not path.is_file():
            sys.exit(f"error: `{path}` is missing")
        sentences.append(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
    if len({len(lines) for lines in sentences}) != 1:
        sys.exit(f"error: the files differ in length: {dict(zip(LANGUAGES, map(len, sentences)))}")

    train, test = [], []
    for number, row in enumerate(zip(*sentences), 1):
        (test if number % 5 == 0 else train).extend(zip(row, LANGUAGES))
    args.output.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train.csv", train), ("test.csv", test)):
        with open(args.output / name, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("text", "label"))
            writer.writerows(rows)
        print(f"{args.output / name}: {len(rows)} rows")


if __name__ == "__main__":
    main()
