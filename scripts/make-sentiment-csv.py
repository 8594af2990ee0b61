#!/usr/bin/env python3
"""Make datasets/sentiment/*.csv and datasets/sentiment/corpus/*.txt from the snippets of Hutto & Gilbert (ICWSM 2014).

Needs nothing but Python 3.9 or newer. The source is the distribution of vaderSentiment 3.3.2 (MIT):

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python3 scripts/make-sentiment-csv.py vaderSentiment-3.3.2.tar.gz

or a folder that holds its `*_GroundTruth.txt` files (one line each: id, mean score in [-4, 4], text, separated by tabs).

Writes:
    amazon.csv         every Amazon snippet: review, score, label, text
    amazon_train.csv   text, label: the snippets with |score| >= 0.5 of four fifths of the reviews
    amazon_test.csv    the same of the other fifth

`label` is `positive` from a score of 0.5 up, `negative` from -0.5 down, and, in amazon.csv only, `neutral` between.
Snippets of one review share the first part of their id (`12_3` is the third of review 12). A split that parts them
leaks, so whole reviews go to one side: the distinct review ids that have a kept snippet, sorted as text, are shuffled
by Python's generator with seed 5, and the first fifth is the test set. Lines keep the order of the source, and end in
CR LF (RFC 4180). The SHA-256 of each file is checked at the end.

The same snippets without scores are text to pretrain on, one snippet a line and a blank line between reviews:
    corpus/amazon.txt, movies.txt, editorials.txt, tweets.txt
Every Amazon review of the test set is left out of it, with all its snippets.

With `--all-domains` the other three domains (movie reviews, New York Times editorials, tweets) are written as well, in
the columns of amazon.csv; snippets that are not part of a larger review have a `review` of their own.
"""

import argparse
import csv
import hashlib
import io
import pathlib
import random
import sys
import tarfile

INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
DOMAINS = {
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "editorials": "nytEditorialSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
}
THRESHOLD = 0.5
TEST_SHARE = 0.2
SEED = 5
SHA256 = {
    "amazon.csv": "0524a456dff045144536abc45fcfa483f72c3404d7a3ba887ab420ac2161f2be",
    "amazon_test.csv": "ae75ec739663eb7eaa3da4628b677c795925160cfefca693c6f4ac3c850910b2",
    "amazon_train.csv": "b33b7c15da8c805771abaca04bd7fb2912bfc479871bee850d1b003bce16ef0d",
    "corpus/amazon.txt": "578f692f41bb100e3b0d49b3905b8f0a637024916cda1dd193fef0654b8767fc",
    "corpus/movies.txt": "fb8fc3a8198cd858e339b772a2bd766931502be5e5c37b9091c5f0eb647b9e53",
    "corpus/editorials.txt": "c19a752f5dff89bbb89dede7fdb718df30d7b114cb2b16ac997a0da79a72b43b",
    "corpus/tweets.txt": "360c7e446e120ad0f835182d9e705f4620ef86788539e2b841688fe38f4073ab",
    "editorials.csv": "fc2017145e7ff3426889465fcbecd44913f90187d014d48c9465b4320b30d453",
    "movies.csv": "7215bd637c4f0565eddab0b801ab6cd7139b3edf57c95a4bbb61e18bbcac6506",
    "tweets.csv": "2acbbce77d3a0fb48e4ae160d232f005fd54be049eb4cdd2a64e158d3ff5c8f0",
}


def fail(message):
    sys.exit(f"error: {message}")


def read_source(source, name):
    """The bytes of one ground-truth file, from a folder or from the source distribution."""
    if source.is_dir():
        path = source / name
        if not path.is_file():
            fail(f"`{path}` is missing: give a folder that holds `{name}`")
        return path.read_bytes()
    if not source.is_file():
        fail(f"`{source}` is neither a folder nor a file")
    try:
        with tarfile.open(source) as outer, tarfile.open(fileobj=outer.extractfile(INNER)) as inner:
            return inner.extractfile(f"hutto_ICWSM_2014/{name}").read()
    except (tarfile.TarError, KeyError) as error:
        fail(f"`{source}` is not the source distribution of vaderSentiment 3.3.2: {error}")


def read_snippets(source, name):
    """(review, score as written, text) for each line."""
    snippets = []
    for number, line in enumerate(read_source(source, name).decode("utf-8").split("\n"), 1):
        line = line.rstrip("\r")
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            fail(f"{name}, line {number}: {len(fields)} fields where 3 were expected")
        identifier, score, text = fields
        snippets.append((identifier.split("_")[0], score, text))
    return snippets


def label(score):
    if score >= THRESHOLD:
        return "positive"
    return "negative" if score <= -THRESHOLD else "neutral"


def to_csv(header, rows):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def held_out(snippets):
    """The reviews of the test set."""
    reviews = sorted({review for review, score, _ in snippets if label(float(score)) != "neutral"})
    random.Random(SEED).shuffle(reviews)
    return set(reviews[: int(len(reviews) * TEST_SHARE)])


def split(snippets):
    """Train and test rows (text, label), no review on both sides."""
    kept = [(review, text, label(float(score))) for review, score, text in snippets]
    kept = [row for row in kept if row[2] != "neutral"]
    test_reviews = held_out(snippets)
    train = [row[1:] for row in kept if row[0] not in test_reviews]
    test = [row[1:] for row in kept if row[0] in test_reviews]
    return train, test


def to_text(snippets, without):
    """One snippet a line, a blank line between reviews."""
    lines, last = [], None
    for review, _, text in snippets:
        if review in without:
            continue
        if last not in (None, review):
            lines.append("")
        lines.append(" ".join(text.split()))
        last = review
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="vaderSentiment-3.3.2.tar.gz, or a folder with the *_GroundTruth.txt files")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent / "datasets/sentiment",
                        help="folder to write to (default: datasets/sentiment of this checkout)")
    parser.add_argument("--all-domains", action="store_true", help="also write movies.csv, editorials.csv and tweets.csv")
    args = parser.parse_args()

    files = {}
    for domain, name in DOMAINS.items():
        snippets = read_snippets(args.source, name)
        files[f"corpus/{domain}.txt"] = to_text(snippets, held_out(snippets) if domain == "amazon" else set())
        if domain != "amazon" and not args.all_domains:
            continue
        rows = [(review, score, label(float(score)), text) for review, score, text in snippets]
        files[f"{domain}.csv"] = to_csv(("review", "score", "label", "text"), rows)
        if domain == "amazon":
            train, test = split(snippets)
            files["amazon_train.csv"] = to_csv(("text", "label"), train)
            files["amazon_test.csv"] = to_csv(("text", "label"), test)

    (args.output / "corpus").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256[name]:
            fail(f"{name} came out with SHA-256 {found}, expected {SHA256[name]}: the source is not that of vaderSentiment 3.3.2")
        (args.output / name).write_bytes(content)
        print(f"{found}  {args.output / name}")


if __name__ == "__main__":
    main()
