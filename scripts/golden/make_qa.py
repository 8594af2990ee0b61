"""Windows, targets and answers of extractive question answering, as transformers' run_qa.py makes them.

    python scripts/golden/make_qa.py crates/data/tests/golden/questions.json

Tokens and windows are those of the tokenizers library (truncation of the second text, with a stride). Targets and answers
follow what run_qa.py and postprocess_qa_predictions do, written out plainly here. Scores are random numbers.
"""

import json
import math
import random
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

CONTEXTS = [
    "Zoë Kästner, the botanist, walked from Bern to the glacier in 1898. She drew 語 on every page; her notes — 312 of "
    "them — were lost in a flood, and found again by a nephew in Zürich. The museum shows the drawings each spring, "
    "beside a map of the route and the boots 😀 that she wore on the way. Entry is free on Sundays.",
    "A short text.",
    "The river rises in the hills; the river runs to the sea.",
]
# Context, question, answer (its place is looked up), or None where there is none.
QUESTIONS = [
    (0, "Who walked from Bern?", "Zoë Kästner"),
    (0, "How many notes were lost?", "312"),
    (0, "What did she wear?", "the boots 😀"),
    (0, "When is entry free?", "Sundays"),
    (0, "Who found the notes?", "a nephew in Zürich. The museum"),
    (0, "What is the boat called?", None),
    (1, "Which text?", "short"),
    (2, "Where does the river run?", "to the sea"),
    (2, "What is cut within a word?", "iver ri"),
]
N_BEST, LONGEST = 20, 12


def wordpiece():
    letters = sorted({letter for text in CONTEXTS for letter in text.lower() if letter.isalnum()} | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    letters = [letter for letter in letters if letter not in "ëä" and letter.isascii()]
    words = ["the", "bot", "##an", "##ist", "river", "walk", "##ed", "from", "in", "note", "##s", "of", "zurich", "text", "."]
    marks = [",", ";", "?", "—", "語"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words + marks + letters + ["##" + letter for letter in letters]
    tokens = list(dict.fromkeys(tokens))
    tokenizer = Tokenizer(models.WordPiece({token: at for at, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [("[CLS]", tokens.index("[CLS]")), ("[SEP]", tokens.index("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=special
    )
    return tokenizer


def byte_level():
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "a"), ("i", "n"), ("Ġ", "in"), ("Ã", "«"), ("e", "r")]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] + sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens += ["".join(merge) for merge in merges]
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def target(encoding, answer):
    """First and last token of an answer, 0 and 0 if the window does not hold it whole."""
    if answer is None:
        return [0, 0]
    start, end = answer
    inside = [at for at, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
    first, last = inside[0], inside[-1]
    if not (encoding.offsets[first][0] <= start and encoding.offsets[last][1] >= end):
        return [0, 0]
    while first <= inside[-1] and encoding.offsets[first][0] <= start:
        first += 1
    while encoding.offsets[last][1] >= end:
        last -= 1
    return [first - 1, last + 1]


def owners(windows):
    """The window where each token of the text has most context (run_squad.py)."""
    best = {}
    for index, (begin, length) in enumerate(windows):
        for token in range(begin, begin + length):
            score = min(token - begin, begin + length - 1 - token) + 0.01 * length
            if token not in best or score > best[token][0]:
                best[token] = (score, index)
    return {token: index for token, (_, index) in best.items()}


def answers(context, encodings, scores, impossible, owned):
    found, null = [], None
    for window, (encoding, (starts, ends)) in enumerate(zip(encodings, scores)):
        nothing = (starts[0] + ends[0], 0, 0)
        if null is None or nothing[0] < null[0]:
            null = nothing
        order = range(len(starts))
        for first in sorted(order, key=lambda at: -starts[at])[:N_BEST]:
            for last in sorted(order, key=lambda at: -ends[at])[:N_BEST]:
                if encoding.sequence_ids[first] != 1 or encoding.sequence_ids[last] != 1:
                    continue
                if last < first or last - first + 1 > LONGEST:
                    continue
                if owned is not None and not owned(window, first):
                    continue
                found.append((starts[first] + ends[last], encoding.offsets[first][0], encoding.offsets[last][1]))
    if impossible:
        found.append(null)
    found = sorted(found, key=lambda entry: -entry[0])[:N_BEST]
    if impossible and null not in found:
        found.append(null)
    highest = max(score for score, _, _ in found)
    total = sum(math.exp(score - highest) for score, _, _ in found)
    best = next((entry for entry in found if entry[1] < entry[2]), None)
    return {
        "n_best": [[context[start:end], start, end, math.exp(score - highest) / total] for score, start, end in found[:6]],
        "kept": len(found),
        "null": null[0],
        "difference": None if best is None else null[0] - best[0],
    }


def case(name, tokenizer, max_length, overlap, seed, every):
    generator = random.Random(seed)
    plain = tokenizer.to_str()
    tokenizer.enable_truncation(max_length, stride=overlap, strategy="only_second")
    questions = []
    for context, question, answer in QUESTIONS[::every]:
        text = CONTEXTS[context]
        place = None if answer is None else (text.index(answer), text.index(answer) + len(answer))
        encoding = tokenizer.encode(question, text)
        encodings = [encoding] + encoding.overflowing
        scores = [[[round(generator.gauss(0, 2), 3) for _ in e.ids] for _ in range(2)] for e in encodings]
        room = max(sum(sequence == 1 for sequence in e.sequence_ids) for e in encodings)
        windows = [(at * (room - overlap), sum(s == 1 for s in e.sequence_ids)) for at, e in enumerate(encodings)]
        best = owners(windows)
        first = [e.sequence_ids.index(1) for e in encodings]

        def owned(window, position):
            return best[windows[window][0] + position - first[window]] == window

        questions.append({
            "context": context, "question": question, "answer": answer, "start": place and place[0],
            "windows": [
                {
                    "ids": e.ids, "type_ids": e.type_ids, "first": e.sequence_ids.index(1),
                    "offsets": [list(o) for o, s in zip(e.offsets, e.sequence_ids) if s == 1],
                    "target": target(e, place), "scores": s,
                }
                for e, s in zip(encodings, scores)
            ],
            "plain": answers(text, encodings, scores, False, None),
            "impossible": answers(text, encodings, scores, True, None),
            "max_context": answers(text, encodings, scores, True, owned),
        })
    return {"name": name, "tokenizer": json.loads(plain), "max_length": max_length, "overlap": overlap, "questions": questions}


def main():
    cases = [case("bert", wordpiece(), 40, 11, 13, 1), case("roberta", byte_level(), 90, 20, 14, 2)]
    document = {"n_best": N_BEST, "longest": LONGEST, "contexts": CONTEXTS, "cases": cases}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
