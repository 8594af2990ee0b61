#!/usr/bin/env python3
"""Fine-tune a text classifier with Hugging Face's Trainer: the peer that bertkit is compared with.

    pip install torch transformers accelerate scikit-learn

    python scripts/peers/trainer_finetune.py --train datasets/sentiment/amazon_train.csv \
        --test datasets/sentiment/amazon_test.csv --model models/minilm --output runs/trainer

One epoch, batches of 16 padded to their longest text, at most 128 tokens, AdamW at 5e-5 with a linear warm-up over 10 %
of the steps and a linear decay, weight decay 0.01 (none on biases and LayerNorm), gradients clipped at 1.0, float32 on
the CPU. All else is the Trainer's default. No evaluation and no checkpoint while it trains; the model and its tokenizer
are saved once, and then scored on the test rows.

Prints one line of JSON: accuracy, f1 and roc_auc on the test rows (scikit-learn), `train_seconds` (Trainer.train alone),
`saved_monotonic` (the monotonic clock when the saved model was complete, so that a caller can count from the start of
the process) and `peak_rss_bytes` (of the process, up to that moment).
"""

import argparse
import json
import resource
import sys
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="CSV with the training rows")
    parser.add_argument("--test", required=True, help="CSV with the test rows")
    parser.add_argument("--model", required=True, help="folder of the pretrained model")
    parser.add_argument("--output", required=True, help="folder for the fine-tuned model")
    parser.add_argument("--text", default="text", help="column with the text (default: %(default)s)")
    parser.add_argument("--label", default="label", help="column with the label (default: %(default)s)")
    parser.add_argument("--positive", default="positive", help="the class that F1 and AUC are of, of two (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="use only the first N rows of each file, to try the script out")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the steps (default: %(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--group-by-length", action="store_true", help="batch texts of similar length together")
    return parser.parse_args()


def read_rows(path, text, label, limit):
    import csv

    with open(path, encoding="utf-8", newline="") as file:
        rows = [(row[text], row[label]) for row in csv.DictReader(file)]
    return rows[:limit]


def peak_rss_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def main():
    args = parse_arguments()
    import torch
    from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, PrinterCallback,
                              Trainer, TrainingArguments, logging, set_seed)

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(args.threads)

    train = read_rows(args.train, args.text, args.label, args.limit)
    test = read_rows(args.test, args.text, args.label, args.limit)
    classes = sorted({label for _, label in train})
    if len(classes) != 2 or args.positive not in classes:
        sys.exit(f"error: expected two classes, one of them `{args.positive}`; found {classes}")
    ids = {name: i for i, name in enumerate(classes)}

    set_seed(args.seed)  # before the model: its new classification layer is drawn at random
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model, num_labels=2, id2label=dict(enumerate(classes)), label2id=ids, dtype=torch.float32)

    def encode(rows):
        encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=args.max_length)
        return [{**{k: v[i] for k, v in encoded.items()}, "labels": ids[label]} for i, (_, label) in enumerate(rows)]

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=args.output,
            num_train_epochs=args.epochs,
            per_device_train_batch_size=args.batch_size,
            per_device_eval_batch_size=64,
            learning_rate=args.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=args.warmup,  # below 1: a share of all steps
            weight_decay=args.weight_decay,
            max_grad_norm=1.0,
            train_sampling_strategy="group_by_length" if args.group_by_length else "random",
            seed=args.seed,
            use_cpu=True,
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=encode(train),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)  # standard output is for the result
    began = time.monotonic()
    trained = trainer.train()
    train_seconds = time.monotonic() - began
    trainer.save_model(args.output)
    saved, peak = time.monotonic(), peak_rss_bytes()

    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

    logits = torch.tensor(trainer.predict(encode(test)).predictions)
    probabilities = torch.softmax(logits, dim=-1)[:, ids[args.positive]].numpy()
    truth = [label == args.positive for _, label in test]
    guess = [classes[i] == args.positive for i in logits.argmax(dim=-1).tolist()]
    print(json.dumps({
        "accuracy": float(accuracy_score(truth, guess)),
        "f1": float(f1_score(truth, guess, zero_division=0)),
        "roc_auc": float(roc_auc_score(truth, probabilities)) if len(set(truth)) == 2 else None,
        "train_seconds": train_seconds,
        "saved_monotonic": saved,
        "peak_rss_bytes": peak,
        "steps": trained.global_step,
        "train_rows": len(train),
        "test_rows": len(test),
        "seed": args.seed,
        "torch": torch.__version__,
        "transformers": __import__("transformers").__version__,
    }))


if __name__ == "__main__":
    main()
