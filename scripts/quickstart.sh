#!/usr/bin/env bash
# The quickstart of the README: builds bertkit, trains a small classifier of product reviews from scratch on the CPU,
# scores it on reviews that it has not seen, and classifies two sentences. Less than half a minute on two cores after the build.
#
#   scripts/quickstart.sh [RUN]        (default: runs/quickstart, which is overwritten)
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
"$bertkit" finetune --config configs/quickstart.toml --output "$run" --overwrite
"$bertkit" eval "$run" --data datasets/sentiment/amazon_test.csv
"$bertkit" predict "$run" --text "the picture is sharp and it was easy to set up." \
    --text "arrived broken, and nobody answers"
