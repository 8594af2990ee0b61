"""Numbers that the tests of crates/data/src/pretraining/sequences and .../masking are compared with.

Builds pretraining pairs of a small made-up corpus the slow way, with lists of tokens and Python's own random numbers,
after the descriptions of BERT, ALBERT and ELECTRA; prints means and standard deviations over many epochs.

    python scripts/golden/pretraining_data.py
"""

import random
import statistics

LENGTH = 64
EPOCHS = 4000


def corpus():
    """30 documents of 1 to 12 sentences of 1 to 23 tokens; a token is (document, sentence, place)."""
    return [
        [[(d, s, t) for t in range(1 + (d * 5 + s * 11) % 23)] for s in range(1 + d * 7 % 12)]
        for d in range(30)
    ]


def flat(sentences):
    return [token for sentence in sentences for token in sentence]


def other_than(number, count):
    for _ in range(10):
        drawn = random.randrange(count)
        if drawn != number:
            break
    return drawn


def trimmed(a, b, budget):
    a, b = list(a), list(b)
    while len(a) + len(b) > budget:
        longer = a if len(a) > len(b) else b
        longer.pop(0 if random.random() < 0.5 else -1)
    return a, b


def labelled_pairs(documents, swap):
    """BERT's pairs, or ALBERT's if `swap`, as (a, b, label)."""
    budget = LENGTH - 3
    for number, document in enumerate(documents):
        target = random.randint(2, budget) if random.random() < 0.1 else budget
        waiting = list(document)
        chunk = []
        while waiting:
            chunk.append(waiting.pop(0))
            if waiting and len(flat(chunk)) < target:
                continue
            middle = random.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
            a, b = flat(chunk[:middle]), flat(chunk[middle:])
            label = 0
            if len(chunk) == 1 or (not swap and random.random() < 0.5):
                label = 1
                waiting = chunk[middle:] + waiting
                elsewhere = documents[other_than(number, len(documents))]
                b = []
                for sentence in elsewhere[random.randrange(len(elsewhere)):]:
                    b += sentence
                    if len(b) >= target - len(a):
                        break
            elif swap and random.random() < 0.5:
                label = 1
                a, b = b, a
            yield *trimmed(a, b, budget), label
            chunk = []


def electra_pairs(documents):
    target = LENGTH
    for document in documents:
        lines = []
        for last, sentence in zip([False] * (len(document) - 1) + [True], document):
            lines.append(sentence)
            if not last and len(flat(lines)) < target:
                continue
            first_target = 10**9 if random.random() < 0.1 else (target - 3) // 2
            a, b = [], []
            for line in lines:
                if not a or len(a) + len(line) < first_target:
                    a = a + line
                elif not b and len(a) < first_target and random.random() < 0.5:
                    a = a + line
                else:
                    b = b + line
            a = a[: LENGTH - 2]
            b = b[: max(0, LENGTH - 3 - len(a))]
            yield a, b, 0
            lines = []
            target = random.randint(5, LENGTH) if random.random() < 0.05 else LENGTH


def describe(name, builder):
    rows = []
    for _ in range(EPOCHS):
        documents = corpus()
        random.shuffle(documents)
        pairs = list(builder(documents))
        whole = [any(len(p) and p[-1][2] + 1 < size(p[-1]) for p in (a, b)) for a, b, _ in pairs]
        rows.append(
            (
                len(pairs),
                sum(len(a) for a, _, _ in pairs),
                sum(len(b) for _, b, _ in pairs),
                sum(label for _, _, label in pairs),
                sum(not b for _, b, _ in pairs),
                len({token for a, b, _ in pairs for token in a + b}),
                sum(whole),
            )
        )
    names = "pairs", "tokens of A", "tokens of B", "labels", "without B", "different tokens", "cut at an end"
    print(f"{name}, in an epoch:")
    for label, values in zip(names, zip(*rows)):
        print(f"  {label:18} {statistics.fmean(values):10.3f} ± {statistics.stdev(values):.2f}")


def size(token):
    d, s, _ = token
    return 1 + (d * 5 + s * 11) % 23


def predictions():
    """Sums of length · predictions over all lengths, a number that a single difference changes."""
    for rate in (0.15, 0.2, 0.25, 0.3, 0.5):
        bert = sum(n * max(1, round(rate * n)) for n in range(1, 513))
        print(f"predictions at {rate}: BERT {bert}", end="")
        for longest in (32, 128):
            most = int((rate + 0.005) * longest)
            count = [max(1, min(most, round(rate * n))) for n in range(1, longest + 1)]
            print(f", ELECTRA of {longest} {sum(n * k for n, k in enumerate(count, 1))}", end="")
        print()


random.seed(13)
print("tokens in the corpus:", len(flat(flat(corpus()))))
predictions()
describe("BERT", lambda documents: labelled_pairs(documents, swap=False))
describe("ALBERT", lambda documents: labelled_pairs(documents, swap=True))
describe("ELECTRA", electra_pairs)
