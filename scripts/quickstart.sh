#!/usr/bin/env bash
# The quickstart of the README: builds bertkit; trains a tokenizer and pretrains a small encoder on text in the repository,
# by replaced-token detection; fine-tunes it on labelled product reviews; scores it on reviews that it has not seen; and
# classifies two sentences. About five minutes on two cores after the build.
#
#   scripts/quickstart.sh [RUN]        (default: runs/quickstart; RUN/encoder and RUN/classifier are overwritten)
#
# Needs a Rust toolchain and a C compiler; no network beyond cargo's own, no GPU, no Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -gt 1 || ${1:-} == -* ]]; then
    printf 'usage: scripts/quickstart.sh [RUN]\n' >&2
    exit 2
fi
run=${1:-runs/quickstart}
bertkit=${CARGO_TARGET_DIR:-target}/release/bertkit

set -x
cargo build --release --locked
"$bertkit" pretrain --config configs/quickstart-pretrain.toml --output "$run/encoder" --overwrite
"$bertkit" finetune --config configs/quickstart.toml --model "$run/encoder" --output "$run/classifier" --overwrite
"$bertkit" eval "$run/classifier" --data datasets/sentiment/amazon_test.csv
"$bertkit" predict "$run/classifier" --text "the picture is sharp and it was easy to set up." \
    --text "arrived broken, and nobody answers"
