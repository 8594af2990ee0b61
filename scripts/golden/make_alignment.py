"""Words to tokens, as transformers aligns them with `is_split_into_words=True`.

    python scripts/golden/make_alignment.py crates/data/tests/golden/alignment.json

The tokens and the word of each are those of the tokenizers library, which is given the words one by one. Its tokenizers are
trained on the sentences below: WordPiece as BERT's, bytes as RoBERTa's (with a space before the first word), and Unigram with
`▁` for spaces.
"""

import json
import sys

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = [
    "The U.N. said : `` Zoë Kästner -- of Zürich 's archive -- won't travel in 1898 . ''",
    "@anna_b #NFL :) http://t.co/x1 is s000 good !!! 😀 👍🏽",
    "Deletion of 7q31.2 ( CFTR ; p.Phe508del ) causes cystic fibrosis / CF ; 3-methyl-2-oxo",
    "Предсједник Никола у Београду 東京都 にて naïve co\u0301te \u200b soft\u00adhyphen \u00a0 ½ ﬁnal",
    "a",
    "... \" ' - — «quoted» (nested(parens))",
    "e" * 120 + " long",
]


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=260, special_tokens=special, show_progress=False)
    return tokenizer, trainer, ("[CLS]", "[SEP]")


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return tokenizer, trainer, ("<s>", "</s>")


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False)
    return tokenizer, trainer, ("<s>", "</s>")


def case(name, family, made):
    tokenizer, trainer, (first, last) = made
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in (first, last)}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} $B {last}", special_tokens=list(ids.items())
    )
    sentences = []
    for sentence in SENTENCES:
        # NFKC makes a space of a no-break space: as a word by itself it is a second `▁` here, and none in a text.
        words = [word for word in sentence.split(" ") if name != "unigram" or word != "\u00a0"]
        encoding = tokenizer.encode(words, is_pretokenized=True)
        sentences.append({"words": words, "ids": encoding.ids, "word_ids": encoding.word_ids})
    return {"name": name, "family": family, "tokenizer": json.loads(tokenizer.to_str()), "sentences": sentences}


def main():
    cases = [
        case("wordpiece", "bert", wordpiece()),
        case("byte-level", "roberta", byte_level()),
        case("unigram", "roberta", unigram()),
    ]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
