#!/usr/bin/env python3
"""Fine-tune a token classifier with a plain transformers loop, and score it with seqeval: the peer of ner-quality.py.

    pip install torch transformers seqeval
    python scripts/peers/torch_ner.py --model DIR --train FILE --test FILE

Words are aligned by `word_ids()`, the first sub-token of each has its tag, longer sentences are cut at --max-length (words
behind that are "O"), and the loss is the mean cross-entropy over the batch's first sub-tokens. AdamW, linear warm-up and
decay, gradients no longer than 1, dropout as the model's configuration says. Prints one JSON object.
"""

import argparse
import json
import random
import sys
import time


def read(path, word, tag, type_name):
    """Sentences as (words, tags); comments and `-DOCSTART-` are left out."""
    sentences, words, tags = [], [], []
    with open(path, encoding="utf-8-sig") as lines:
        for line in [*lines, ""]:
            line = line.rstrip("\r\n")
            cells = line.split("\t") if "\t" in line else line.split()
            if not line.strip():
                if words:
                    sentences.append((words, tags))
                words, tags = [], []
            elif not (line.startswith("# ") or cells[0] == "-DOCSTART-"):
                words.append(cells[word - 1])
                name = cells[tag - 1].strip() if tag else cells[-1].strip()
                tags.append(f"{name}-{type_name}" if name in ("B", "I") else name)
    return sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--word-column", type=int, default=1)
    parser.add_argument("--tag-column", type=int, default=0, help="0 is the last")
    parser.add_argument("--type-name", default="ENTITY")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, help="only the first N sentences of each file, to try it out")
    args = parser.parse_args()

    import torch
    import transformers
    from seqeval.metrics import f1_score

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(args.threads)
    transformers.set_seed(args.seed)
    columns = (args.word_column, args.tag_column, args.type_name)
    train, test = (read(path, *columns)[: args.limit] for path in (args.train, args.test))
    types = sorted({tag[2:] for _, tags in train for tag in tags if tag != "O"})
    names = ["O"] + [f"{letter}-{kind}" for kind in types for letter in "BI"]
    ids = {name: number for number, name in enumerate(names)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model, add_prefix_space=True)
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        args.model, num_labels=len(names), id2label=dict(enumerate(names)), label2id=ids)

    def features(sentences):
        for words, tags in sentences:
            coded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=args.max_length)
            labels, before = [], None
            for word in coded.word_ids():
                labels.append(ids.get(tags[word], 0) if word is not None and word != before else -100)
                before = word
            yield {"input_ids": coded["input_ids"], "attention_mask": coded["attention_mask"], "labels": labels}

    def batch(rows):
        longest = max(len(row["input_ids"]) for row in rows)
        fill = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "labels": -100}
        return {key: torch.tensor([row[key] + [value] * (longest - len(row[key])) for row in rows]) for key, value in fill.items()}

    started = time.monotonic()
    rows = list(features(train))
    steps = args.epochs * -(-len(rows) // args.batch_size)
    decayed = [p for n, p in model.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    others = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=args.learning_rate)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, int(0.1 * steps), steps)
    model.train()
    for epoch in range(args.epochs):
        random.Random(args.seed * 1000 + epoch).shuffle(rows)
        for start in range(0, len(rows), args.batch_size):
            model(**batch(rows[start:start + args.batch_size])).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    seconds = time.monotonic() - started

    model.eval()
    gold, predicted = [], []
    with torch.no_grad():
        for start in range(0, len(test), 32):
            part = test[start:start + 32]
            coded = [tokenizer(words, is_split_into_words=True, truncation=True, max_length=args.max_length) for words, _ in part]
            fed = batch([{"input_ids": c["input_ids"], "attention_mask": c["attention_mask"], "labels": []} for c in coded])
            fed.pop("labels")
            best = model(**fed).logits.argmax(-1).tolist()
            for (words, tags), one, row in zip(part, coded, best):
                found = ["O"] * len(words)
                before = None
                for place, word in enumerate(one.word_ids()):
                    if word is not None and word != before:
                        found[word] = names[row[place]]
                    before = word
                gold.append(tags)
                predicted.append(found)
    json.dump({"f1": f1_score(gold, predicted), "seconds": seconds, "steps": steps}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
