#!/usr/bin/env python3
"""Check that a model that bertkit saved is the same model in transformers.

    pip install torch transformers

    python scripts/check-transformers.py runs/quickstart/classifier --input datasets/sentiment/amazon_test.csv

1. Loads it by the Auto class of the architecture that config.json names; any missing, unexpected or mis-shaped tensor
   fails, but for the transitions of a CRF and the attention over sections, which transformers has no place for.
2. Loads its tokenizer by AutoTokenizer. Of a pretraining run that has a generator beside the model, both are loaded,
   and their embeddings must be the same.
3. For token classification with --input FILE.conll (a word a line in the first column): finds each word's tag from its
   first sub-token, lets `bertkit predict` do the same, and counts the words that differ; words behind the longest
   input, and models with a CRF, are left out.
4. For question answering with --input FILE.json (in SQuAD's form): finds the best answer of 30 tokens at most to each
   question that fits the longest input together with its text, lets `bertkit predict` do the same, and counts the
   answers that differ; that there is none is no answer here.
5. For sequence classification: computes every class's probability of the given texts (softmax; sigmoid where the
   problem is multi-label; of a regression the score itself), lets `bertkit predict` do the same, and prints the largest
   absolute difference in the columns `probability_*` (of a regression, in the column `--score-column`).

Exits 0 if all is well, 1 if a check fails or a difference is above the tolerance, 2 on wrong usage.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

# An architecture's last part -> the Auto class that makes it.
AUTO = {
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForTokenClassification": "AutoModelForTokenClassification",
    "ForQuestionAnswering": "AutoModelForQuestionAnswering",
    "ForMaskedLM": "AutoModelForMaskedLM",
    "ForPreTraining": "AutoModelForPreTraining",
    "Model": "AutoModel",
}

# Used where no --input is given: plain, long, empty of words, accents, other scripts, an emoji, special tokens spelt out.
TEXTS = [
    "Great player, it works with every disc I own.",
    "it stopped working after two weeks , and nobody answers the phone !",
    "?!",
    "Ünïcödé naïve café — “quoted” … 日本語のテキスト Дакле \U0001f600",
    "A text that spells [CLS] and [SEP] and [MASK] and <s> out.",
    "tab\tand\nnew line,  two  spaces, \"quotes\"",
    "word " * 700,
]


def fail(message):
    sys.exit(f"error: {message}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="a run of bertkit, or the folder of a model")
    parser.add_argument("--input", type=pathlib.Path, help="CSV with texts (default: a few built-in ones)")
    parser.add_argument("--text", default="text", help="column with the text (default: %(default)s)")
    parser.add_argument("--text-pair", help="column with the second text of a pair")
    parser.add_argument("--reference", type=pathlib.Path, metavar="CSV",
                        help="what `bertkit predict` wrote for these texts earlier; bertkit is not run")
    parser.add_argument("--bertkit", type=pathlib.Path, default=pathlib.Path("target/release/bertkit"), help="the program (default: %(default)s)")
    parser.add_argument("--bertkit-arg", action="append", default=[], metavar="ARG", help="one more argument of `bertkit predict`; may be repeated")
    parser.add_argument("--load-only", action="store_true", help="check 1 and 2 only")
    parser.add_argument("--max-length", type=int, help="tokens (default: the run's; of a model alone, the tokenizer's, bounded by the model's positions)")
    parser.add_argument("--score-column", default="prediction", help="a regression's column (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest absolute difference allowed (default: %(default)s)")
    args = parser.parse_args()
    if args.input and not args.input.is_file():
        parser.error(f"`{args.input}` is missing")
    if args.reference and not args.input:
        parser.error("--reference needs the --input that it was made from")
    return args


def load(folder):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    architecture = (json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [None])[0]
    if architecture is None:
        fail(f"`{folder / 'config.json'}` names no architecture")
    auto = next((name for end, name in AUTO.items() if architecture.endswith(end)), None)
    if auto is None:
        fail(f"no Auto class is known for the architecture `{architecture}`")
    model, report = getattr(transformers, auto).from_pretrained(folder, output_loading_info=True, dtype=torch.float32, local_files_only=True)
    problems = {kind: sorted(name for name in map(str, found) if not name.startswith(("crf.", "section_attention."))) for kind, found in report.items()}
    problems = {kind: found for kind, found in problems.items() if found}
    if problems:
        fail(f"transformers did not load `{folder}` whole: {problems}")
    if type(model).__name__ != architecture:
        fail(f"{auto} made a `{type(model).__name__}` of `{architecture}`")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if len(tokenizer) > model.config.vocab_size:
        fail(f"the tokenizer has {len(tokenizer)} tokens, the model {model.config.vocab_size} embeddings")
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{architecture}: {parameters:,} parameters, no tensor missing, unexpected or mis-shaped (transformers {transformers.__version__})")
    return model.eval(), tokenizer


def check_generator(folder, model):
    """The generator of an ELECTRA run has the embeddings of the model beside it: all but the projection."""
    generator, _ = load(folder)
    theirs = dict(generator.named_parameters())
    shared = [name for name, _ in model.named_parameters() if name.startswith("electra.embeddings.")]
    different = [name for name in shared if not theirs[name].equal(model.get_parameter(name))]
    if not shared or different:
        fail(f"the generator in `{folder}` does not share the embeddings of the model: {different}")
    if generator.get_output_embeddings().weight is not generator.get_input_embeddings().weight:
        fail(f"the decoder of the generator in `{folder}` is not its word embedding")
    print(f"the generator has the model's embeddings: {len(shared)} tensors, and decodes with them")


def max_length_of_run(value):
    """The first `max_length` anywhere in a parsed config.toml, or None."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("max_length"), int):
        return value["max_length"]
    return next((found for part in value.values() if (found := max_length_of_run(part))), None)


def default_max_length(run, model, tokenizer):
    config = model.config
    if (run / "config.toml").is_file():
        import tomllib  # Python 3.11

        written = max_length_of_run(tomllib.loads((run / "config.toml").read_text(encoding="utf-8")))
        if written:
            return written
    positions = getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length
    if config.model_type == "roberta":  # positions start after the padding's
        positions -= config.pad_token_id + 1
    return min(positions, tokenizer.model_max_length)


def expected_columns(model, tokenizer, texts, pairs, max_length, score_column):
    """Column -> one number per text, as transformers computes it."""
    import torch

    rows = []
    with torch.no_grad():
        for start in range(0, len(texts), 32):
            second = pairs[start:start + 32] if pairs else None
            fed = tokenizer(texts[start:start + 32], second, truncation=True, max_length=max_length, padding=True, return_tensors="pt")
            rows.append(model(**fed).logits.double())
    logits = torch.cat(rows)
    names = [model.config.id2label[i] for i in range(logits.shape[1])]
    kind = model.config.problem_type or ("regression" if len(names) == 1 else "single_label_classification")
    if kind == "regression":
        if len(names) != 1:
            fail(f"a regression of {len(names)} scores cannot be compared")
        return kind, {score_column: logits[:, 0].tolist()}
    numbers = torch.sigmoid(logits) if kind == "multi_label_classification" else torch.softmax(logits, dim=-1)
    return kind, {f"probability_{name}": numbers[:, i].tolist() for i, name in enumerate(names)}


def read_csv(path):
    if not path.is_file():
        fail(f"`{path}` is missing")
    csv.field_size_limit(1 << 30)
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def predict(args, source, out, *more):
    """Lets bertkit predict; gives back `out`, which it wrote."""
    command = [str(args.bertkit), "predict", str(args.model), "--input", str(source), "--output", str(out), *more, *args.bertkit_arg]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        fail(f"could not run `{args.bertkit}`: {error}")
    if done.returncode != 0:
        fail(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stderr}")
    return out


def predict_texts(args, texts_file, temporary):
    columns = ["--header", "--text-column", args.text] + (["--text-pair-column", args.text_pair] if args.text_pair else [])
    return read_csv(predict(args, texts_file, pathlib.Path(temporary) / "predictions.csv", *columns))


def compare(args, model, tokenizer):
    with tempfile.TemporaryDirectory() as temporary:
        source = args.input
        if source is None:
            source = pathlib.Path(temporary) / "texts.csv"
            columns = [args.text] + ([args.text_pair] if args.text_pair else [])
            with open(source, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows([text] + ([TEXTS[i - 1]] if args.text_pair else []) for i, text in enumerate(TEXTS))
        rows = read_csv(source)
        for column in filter(None, (args.text, args.text_pair)):
            if not rows or column not in rows[0]:
                fail(f"`{source}` has no rows, or no column `{column}`")
        found = read_csv(args.reference) if args.reference else predict_texts(args, source, temporary)
    if len(found) != len(rows):
        fail(f"bertkit wrote {len(found)} rows for {len(rows)} texts")

    max_length = args.max_length or default_max_length(args.model, model, tokenizer)
    pairs = [row[args.text_pair] for row in rows] if args.text_pair else None
    kind, expected = expected_columns(model, tokenizer, [row[args.text] for row in rows], pairs, max_length, args.score_column)
    missing = [name for name in expected if name not in found[0]]
    extra = [name for name in found[0] if name.startswith("probability_") and name not in expected]
    if missing or extra:
        fail(f"bertkit's columns are {list(found[0])}; missing {missing}, not of the model {extra}")

    worst, where = 0.0, None
    for name, numbers in expected.items():
        for line, (ours, theirs) in enumerate(zip((row[name] for row in found), numbers), 1):
            try:
                difference = abs(float(ours) - theirs)
            except ValueError:
                fail(f"row {line}, column {name}: `{ours}` is no number")
            if not difference <= worst:  # NaN counts as worst
                worst, where = difference, f"row {line}, column {name}: bertkit {float(ours):.8f}, transformers {theirs:.8f}"
                if difference != difference:
                    fail(f"not a number at {where}")
    print(f"{kind}: {len(rows)} texts, at most {max_length} tokens: max |difference| {worst:.3e}" + (f" ({where})" if where else ""))
    if worst > args.tolerance:
        fail(f"the difference is above {args.tolerance:g}")


def tagged_words(path):
    """Sentences as lists of (word, last column)."""
    sentences = [[]]
    for line in pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines():
        cells = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            sentences.append([])
        elif not line.startswith("# "):
            sentences[-1].append((cells[0], cells[-1]))
    return [sentence for sentence in sentences if sentence]


def compare_tags(args, model, tokenizer):
    """Words that transformers and bertkit tag otherwise."""
    import torch

    sentences = tagged_words(args.input)
    max_length = args.max_length or default_max_length(args.model, model, tokenizer)
    expected = []
    with torch.no_grad():
        for sentence in sentences:
            coded = tokenizer([word for word, _ in sentence], is_split_into_words=True, truncation=True, max_length=max_length, return_tensors="pt")
            best, before, tags = model(**coded).logits[0].argmax(-1).tolist(), None, {}
            for place, word in enumerate(coded.word_ids()):
                if word is not None and word != before:
                    tags[word] = model.config.id2label[best[place]]
                before = word
            expected.append(tags)
    with tempfile.TemporaryDirectory() as temporary:
        out = predict(args, args.input, pathlib.Path(temporary) / "tagged.conll", "--quiet")
        found = tagged_words(out)
    # Bare tags in the file are bare in what comes back.
    bare = all(tag in ("B", "I", "O") for sentence in found for _, tag in sentence)
    words = different = 0
    for tags, sentence in zip(expected, found, strict=True):
        for word, tag in tags.items():
            words += 1
            different += (tag[:1] if bare else tag) != sentence[word][1]
    print(f"tags: {len(sentences)} sentences, {words} words within {max_length} tokens, {different} tagged otherwise")
    if different:
        fail("the tags are not the same")


def best_span(start, end, allowed, longest=30):
    """The best pair of tokens by the sum of their scores."""
    spans = ((start[i] + end[j], i, j) for i in range(len(start)) if allowed[i] for j in range(i, min(i + longest, len(end))) if allowed[j])
    return max(spans, key=lambda span: span[0])[1:]


def compare_answers(args, model, tokenizer):
    """Questions that transformers and bertkit answer otherwise."""
    import torch

    parsed = json.loads(args.input.read_text(encoding="utf-8"))
    paragraphs = [paragraph for article in parsed["data"] for paragraph in article["paragraphs"]]
    max_length = args.max_length or default_max_length(args.model, model, tokenizer)
    expected = {}
    with torch.no_grad():
        for paragraph in paragraphs:
            for question in paragraph["qas"]:
                coded = tokenizer(question["question"], paragraph["context"], return_offsets_mapping=True, return_tensors="pt")
                if coded["input_ids"].shape[1] > max_length:
                    continue
                offsets = coded.pop("offset_mapping")[0].tolist()
                allowed = [part == 1 for part in coded.sequence_ids()]
                out = model(**coded)
                first, last = best_span(out.start_logits[0].tolist(), out.end_logits[0].tolist(), allowed)
                expected[question["id"]] = paragraph["context"][offsets[first][0]:offsets[last][1]]
    with tempfile.TemporaryDirectory() as temporary:
        out = predict(args, args.input, pathlib.Path(temporary) / "answers.json", "--quiet")
        found = json.loads(out.read_text(encoding="utf-8"))
    found = {name: next((answer["text"] for answer in answers if answer["text"]), "") for name, answers in found.items()}
    different = [name for name, answer in expected.items() if found[name] != answer]
    print(f"answers: {len(expected)} questions within {max_length} tokens, {len(different)} answered otherwise")
    if different or not expected:
        name = next(iter(different), None)
        fail("no question fits the longest input" if name is None else f"{name}: bertkit {found[name]!r}, transformers {expected[name]!r}")


def main():
    args = parse_arguments()
    folder = args.model / "model" if (args.model / "model/config.json").is_file() else args.model
    if not (folder / "config.json").is_file():
        fail(f"`{args.model}` holds neither config.json nor model/config.json")
    model, tokenizer = load(folder)
    if (args.model / "generator/config.json").is_file():
        check_generator(args.model / "generator", model)
    if args.load_only:
        return
    if type(model).__name__.endswith("ForTokenClassification") and args.input:
        info = folder / "bertkit.json"
        if not (info.is_file() and json.loads(info.read_text(encoding="utf-8")).get("head") == "crf"):
            compare_tags(args, model, tokenizer)
        return
    if type(model).__name__.endswith("ForQuestionAnswering") and args.input:
        compare_answers(args, model, tokenizer)
        return
    if not type(model).__name__.endswith("ForSequenceClassification"):
        print("no probabilities to compare: that is for sequence classification")
        return
    compare(args, model, tokenizer)


if __name__ == "__main__":
    main()
