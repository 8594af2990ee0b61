#!/usr/bin/env python3
"""Write the golden parity cases: tiny randomly initialised encoders run through
Hugging Face transformers, with every number a port must reproduce.

    pip install torch transformers safetensors
    python scripts/golden/make_golden.py crates/model/tests/golden/cases [--seed 20]

One folder per case:
    config.json            the model's configuration, as transformers writes it
    model.safetensors      the weights, as transformers names them
    io.safetensors         inputs (`in.*`), outputs (`out.*`), gradients of the loss (`grad.NAME`)
    case.json              what class made it, dropout (always 0), tolerances, the loss
`optimizer/` holds a separate trace: AdamW with decoupled weight decay, bias correction,
no decay on biases and LayerNorm, linear warm-up then linear decay, gradient clipping at 1.0.
All arithmetic is float32 on the CPU, attention implementation "eager".
"""
import argparse, json, pathlib, torch
from safetensors.torch import save_file
import transformers as tf

COMMON = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
SIZES = dict(vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
             intermediate_size=48, max_position_embeddings=40)


def bert(**kw):
    return tf.BertConfig(**{**SIZES, **COMMON, "type_vocab_size": 2, "pad_token_id": 0, **kw})


def electra(**kw):
    return tf.ElectraConfig(**{**SIZES, **COMMON, "embedding_size": 24, "type_vocab_size": 2, "pad_token_id": 0, **kw})


def roberta(**kw):
    return tf.RobertaConfig(**{**SIZES, **COMMON, "type_vocab_size": 1, "pad_token_id": 1,
                               "bos_token_id": 0, "eos_token_id": 2, **kw})


def albert(**kw):  # smaller than the others: blocks that are shared, tables of their own width
    base = dict(vocab_size=29, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=12, embedding_size=6,
                max_position_embeddings=20, hidden_act="gelu_new", classifier_dropout_prob=0.0, type_vocab_size=2, pad_token_id=0,
                bos_token_id=2, eos_token_id=3)
    return tf.AlbertConfig(**{**base, **COMMON, **kw})


def distilbert(**kw):
    base = dict(vocab_size=97, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40,
                dropout=0.0, attention_dropout=0.0, qa_dropout=0.0, seq_classif_dropout=0.0, pad_token_id=0)
    return tf.DistilBertConfig(**{**base, **kw})


def cases():
    """(folder, model class, config, kind of labels)"""
    yield "bert-base-model", tf.BertModel, bert(), None
    yield "bert-masked-lm", tf.BertForMaskedLM, bert(), "mlm"
    yield "bert-masked-lm-untied", tf.BertForMaskedLM, bert(tie_word_embeddings=False), "mlm"
    yield "bert-pretraining-nsp", tf.BertForPreTraining, bert(), "mlm+nsp"
    yield "bert-sequence-3", tf.BertForSequenceClassification, bert(num_labels=3), "class"
    yield "bert-sequence-regression", tf.BertForSequenceClassification, bert(num_labels=1, problem_type="regression"), "score"
    yield "bert-sequence-multilabel", tf.BertForSequenceClassification, bert(num_labels=5, problem_type="multi_label_classification"), "multi"
    yield "bert-token-5", tf.BertForTokenClassification, bert(num_labels=5), "token"
    yield "bert-qa", tf.BertForQuestionAnswering, bert(), "span"
    yield "bert-gelu-new", tf.BertForMaskedLM, bert(hidden_act="gelu_new", layer_norm_eps=1e-6), "mlm"
    yield "electra-discriminator", tf.ElectraForPreTraining, electra(), "rtd"
    yield "electra-generator", tf.ElectraForMaskedLM, electra(hidden_size=16, num_attention_heads=2), "mlm"
    yield "electra-sequence-3", tf.ElectraForSequenceClassification, electra(num_labels=3), "class"
    yield "electra-token-5", tf.ElectraForTokenClassification, electra(num_labels=5), "token"
    yield "electra-qa", tf.ElectraForQuestionAnswering, electra(), "span"
    yield "roberta-masked-lm", tf.RobertaForMaskedLM, roberta(), "mlm"
    yield "roberta-sequence-3", tf.RobertaForSequenceClassification, roberta(num_labels=3), "class"
    yield "roberta-token-5", tf.RobertaForTokenClassification, roberta(num_labels=5), "token"
    yield "distilbert-masked-lm", tf.DistilBertForMaskedLM, distilbert(), "mlm"
    yield "distilbert-sequence-3", tf.DistilBertForSequenceClassification, distilbert(num_labels=3), "class"
    yield "distilbert-qa", tf.DistilBertForQuestionAnswering, distilbert(), "span"
    small = dict(vocab_size=29, hidden_size=8, num_attention_heads=2, intermediate_size=12, max_position_embeddings=20, type_vocab_size=1,
                 pad_token_id=1, bos_token_id=0, eos_token_id=2, **COMMON)
    yield "xlm-roberta-sequence-3", tf.XLMRobertaForSequenceClassification, tf.XLMRobertaConfig(num_hidden_layers=1, num_labels=3, **small), "class"
    yield "camembert-masked-lm", tf.CamembertForMaskedLM, tf.CamembertConfig(num_hidden_layers=1, **small), "mlm"
    yield "albert-two-groups", tf.AlbertForMaskedLM, albert(num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2), "mlm"
    yield "albert-pretraining-sop", tf.AlbertForPreTraining, albert(), "mlm+sop"


def inputs(config, kind, batch=4, length=17):
    pad = config.pad_token_id
    ids = torch.randint(5, config.vocab_size, (batch, length))
    lengths = torch.randint(length // 2, length + 1, (batch,))
    lengths[0] = length
    if kind == "span":  # transformers' QA loss takes its softmax over padding too: leave none, so that a port need not
        lengths[:] = length
    mask = (torch.arange(length)[None] < lengths[:, None]).long()
    ids = torch.where(mask.bool(), ids, torch.full_like(ids, pad))
    out = {"input_ids": ids, "attention_mask": mask}
    if getattr(config, "type_vocab_size", 0) > 1:
        out["token_type_ids"] = ((torch.arange(length)[None] >= lengths[:, None] // 2) & mask.bool()).long()
    labels = getattr(config, "num_labels", 2)
    if kind in ("mlm", "mlm+nsp", "mlm+sop"):
        chosen = (torch.rand(batch, length) < 0.3) & mask.bool()
        chosen[:, 1] = True
        out["labels"] = torch.where(chosen, ids, torch.full_like(ids, -100))
        out["input_ids"] = torch.where(chosen & (torch.rand(batch, length) < 0.8), torch.full_like(ids, 4), ids)
        if kind == "mlm+nsp":
            out["next_sentence_label"] = torch.randint(0, 2, (batch,))
        if kind == "mlm+sop":
            out["sentence_order_label"] = torch.randint(0, 2, (batch,))
    elif kind == "class":
        out["labels"] = torch.randint(0, labels, (batch,))
    elif kind == "score":
        out["labels"] = torch.randn(batch)
    elif kind == "multi":
        out["labels"] = torch.randint(0, 2, (batch, labels)).float()
    elif kind == "token":
        out["labels"] = torch.where(mask.bool(), torch.randint(0, labels, (batch, length)), torch.full_like(ids, -100))
    elif kind == "rtd":
        out["labels"] = torch.randint(0, 2, (batch, length))
    elif kind == "span":
        start = torch.randint(0, length // 2, (batch,))
        out["start_positions"], out["end_positions"] = start, start + torch.randint(0, 3, (batch,))
    return out


def write_case(root, name, cls, config, kind, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    with torch.no_grad():  # the default init leaves biases at 0 and LayerNorm at 1: move them, so that each one counts
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    fed = inputs(config, kind)
    result = model(**fed, output_hidden_states=True, return_dict=True)
    tensors = {f"in.{k}": v for k, v in fed.items()}
    for k, v in result.items():
        if torch.is_tensor(v):
            tensors[f"out.{k}"] = v.detach()
    for i, h in enumerate(result.hidden_states):
        tensors[f"out.hidden_states.{i}"] = h.detach()
    loss = result.get("loss")
    if loss is not None:
        loss.backward()
        for k, p in model.named_parameters():
            if p.grad is not None:
                tensors[f"grad.{k}"] = p.grad
    folder = root / name
    model.save_pretrained(folder)
    save_file({k: v.clone().contiguous() for k, v in tensors.items()}, folder / "io.safetensors")
    (folder / "case.json").write_text(json.dumps({
        "class": cls.__name__, "labels": kind, "loss": None if loss is None else loss.item(),
        "tolerance": {"out": 2e-5, "grad": 5e-5, "measure": "max |ours - golden|"},
        "transformers": tf.__version__, "torch": torch.__version__}, indent=2) + "\n")
    for extra in ("generation_config.json",):
        (folder / extra).unlink(missing_ok=True)


def write_optimizer_trace(root, seed, steps=12, warmup=3, lr=5e-3, decay=0.01):
    torch.manual_seed(seed)
    config = bert(num_labels=3)
    config._attn_implementation = "eager"
    model = tf.BertForSequenceClassification(config).train()  # dropout is 0
    folder = root / "optimizer"
    model.save_pretrained(folder)
    no_decay = lambda n: n.endswith("bias") or "LayerNorm" in n
    groups = [{"params": [p for n, p in model.named_parameters() if not no_decay(n)], "weight_decay": decay},
              {"params": [p for n, p in model.named_parameters() if no_decay(n)], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), eps=1e-8)
    schedule = tf.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    tensors, log = {}, []
    for step in range(steps):
        fed = inputs(config, "class")
        tensors.update({f"step{step}.{k}": v for k, v in fed.items()})
        optimizer.zero_grad()
        loss = model(**fed).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        used = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        log.append({"step": step, "lr": used, "loss": loss.item(), "grad_norm_before_clipping": norm.item()})
    tensors.update({f"final.{n}": p.detach() for n, p in model.named_parameters()})
    save_file({k: v.clone().contiguous() for k, v in tensors.items()}, folder / "io.safetensors")
    (folder / "case.json").write_text(json.dumps({
        "class": "BertForSequenceClassification", "steps": log,
        "optimizer": {"name": "AdamW", "lr": lr, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": decay,
                      "no_decay": "names that end in bias, or hold LayerNorm", "clip_grad_norm": 1.0,
                      "warmup_steps": warmup, "total_steps": steps, "schedule": "linear"},
        "tolerance": {"loss": 1e-4, "final": 2e-4, "measure": "max |ours - golden|"}}, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--only", default="", help="beginnings of names, separated by commas")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    only = tuple(args.only.split(","))
    for i, (name, cls, config, kind) in enumerate(cases()):
        if name.startswith(only):
            write_case(args.out, name, cls, config, kind, args.seed + i)
            print(name)
    if "optimizer".startswith(only):
        write_optimizer_trace(args.out, args.seed + 100)
        print("optimizer")
