#!/usr/bin/env python3
"""Write the golden case of ELECTRA's pretraining step: both losses, and the gradients of their weighted sum, as
Hugging Face transformers and PyTorch compute them for fixed weights, masks and sampled tokens.

    pip install torch transformers safetensors
    python scripts/golden/make_electra.py crates/training/tests/golden/electra-rtd [--seed 7]

model/            the discriminator, `ElectraForPreTraining`
generator/        the generator, `ElectraForMaskedLM`, on the discriminator's embeddings
io.safetensors    `in.masked` what the generator sees, `in.original` what was there, `in.sampled` what the generator is
                  taken to have sampled (read where the two differ in being masked: `in.chosen`), `in.attention_mask`,
                  `in.token_type_ids`; `grad.NAME` the gradients, those of the generator under `generator.NAME`
case.json         the two mean losses, and the weights of their sum
Dropout is 0; arithmetic is float32 on the CPU, attention implementation "eager".
"""
import argparse, json, pathlib, torch
from safetensors.torch import save_file
import transformers as tf

MASK, RTD_WEIGHT = 4, 50.0


def config(**kw):
    return tf.ElectraConfig(**{**dict(vocab_size=61, embedding_size=12, hidden_size=16, num_hidden_layers=2,
                                      num_attention_heads=2, intermediate_size=24, max_position_embeddings=24,
                                      hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, type_vocab_size=2,
                                      pad_token_id=0, attn_implementation="eager"), **kw})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    discriminator = tf.ElectraForPreTraining(config()).train()
    generator = tf.ElectraForMaskedLM(config(hidden_size=8, intermediate_size=32, num_attention_heads=1)).train()
    with torch.no_grad():  # the default weights are small: move them, so that each one counts
        for model in (discriminator, generator):
            for p in model.parameters():
                p.add_(0.1 * torch.randn_like(p))
    # One set of embeddings: words, positions, token types and their LayerNorm. The decoder is the word embedding.
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight

    batch, length = 3, 11
    lengths = torch.tensor([11, 7, 9])
    kept = torch.arange(length)[None] < lengths[:, None]
    original = torch.where(kept, torch.randint(5, 61, (batch, length)), torch.zeros(1, dtype=torch.long))
    inner = kept & (torch.arange(length)[None] > 0) & (torch.arange(length)[None] < lengths[:, None] - 1)
    original[:, 0] = 2
    original[torch.arange(batch), lengths - 1] = 3
    chosen = (torch.rand(batch, length) < 0.5) & inner
    chosen[:, 1] = True
    masked = torch.where(chosen & (torch.rand(batch, length) < 0.85), torch.full_like(original, MASK), original)
    sampled = torch.where(torch.rand(batch, length) < 0.25, original, torch.randint(5, 61, (batch, length)))
    types = ((torch.arange(length)[None] >= lengths[:, None] // 2) & kept).long()
    shared = dict(attention_mask=kept.long(), token_type_ids=types)

    labels = torch.where(chosen, original, torch.full_like(original, -100))
    mlm = generator(input_ids=masked, labels=labels, **shared).loss
    corrupted = torch.where(chosen, sampled, original)
    replaced = (corrupted != original).long()
    rtd = discriminator(input_ids=corrupted, labels=replaced, **shared).loss
    (mlm + RTD_WEIGHT * rtd).backward()

    tensors = {"in.masked": masked, "in.original": original, "in.sampled": sampled, "in.chosen": chosen.long(),
               "in.attention_mask": kept.long(), "in.token_type_ids": types}
    for name, p in discriminator.named_parameters():
        tensors[f"grad.{name}"] = p.grad
    for name, p in generator.named_parameters():
        if not name.startswith("electra.embeddings.") and name != "generator_lm_head.weight":
            tensors[f"grad.generator.{name.removeprefix('electra.')}"] = p.grad
    args.folder.mkdir(parents=True, exist_ok=True)
    for model, name in ((discriminator, "model"), (generator, "generator")):
        model.save_pretrained(args.folder / name)
        (args.folder / name / "generation_config.json").unlink(missing_ok=True)
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, args.folder / "io.safetensors")
    (args.folder / "case.json").write_text(json.dumps({
        "mlm_loss": mlm.item(), "rtd_loss": rtd.item(), "weights": [1.0, RTD_WEIGHT],
        "tolerance": {"loss": 2e-5, "grad": 2e-4, "measure": "max |ours - golden|"},
        "transformers": tf.__version__, "torch": torch.__version__}, indent=2) + "\n")
    print(f"mlm {mlm.item():.6f}, rtd {rtd.item():.6f}, {int(chosen.sum())} masked, {int(replaced.sum())} replaced")


if __name__ == "__main__":
    main()
