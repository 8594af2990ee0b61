#!/usr/bin/env bash
# Checks that bertkit computes on a device what it computes on the CPU: the golden cases of transformers, an RTD pretraining,
# the same killed and resumed, a fine-tuning, its evaluation on both, and the same batches on two devices. Prints one table; exits
# with 1 if a step fails.
#
#   scripts/gpu-check.sh --device cuda [--steps 300] [--work DIR]
#
# It needs nothing but bash, the built program, the built test of the golden cases, and a folder of data. Here these are those
# of the repository (after `cargo build --release` and `cargo test --release --workspace --no-run`). For a bare machine:
#
#   cargo build --release --features cuda-nvrtc
#   cargo test --release --workspace --features bertkit/cuda-nvrtc --no-run
#   scripts/gpu-check.sh --pack gpu-check.tar.gz        # carry this; there: tar xf gpu-check.tar.gz && cd gpu-check
#   ./gpu-check.sh --device cuda                        # needs NVIDIA's driver; libnvrtc and its headers with cuda-nvrtc
#
# Software Vulkan compiles for most of its time: --device wgpu --steps 20 took nine minutes of processor time.
set -euo pipefail

usage() {
    printf 'usage: gpu-check.sh [--device cpu|wgpu[:N]|cuda[:N]] [--steps N] [--work DIR] | --pack FILE.tar.gz\n' >&2
    exit 2
}
fail() {
    printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

device=cuda steps=300 work= pack=
while (($# > 0)); do
    [[ $# -ge 2 ]] || usage
    case $1 in
        --device) device=$2 ;;
        --steps) steps=$2 ;;
        --work) work=$2 ;;
        --pack) pack=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[[ $steps =~ ^[0-9]+$ && $steps -ge 8 ]] || fail "--steps is $steps, expected a whole number from 8 on" "leave it out for 300"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -x $here/bertkit ]]; then
    bertkit=$here/bertkit golden=$here/golden cases=$here/cases data=$here/data
else
    root=$(dirname "$here")
    built=${CARGO_TARGET_DIR:-$root/target}/release
    bertkit=$built/bertkit cases=$root/crates/model/tests/golden/cases data=$root/datasets/sentiment golden=
    # The newest one that has the test.
    while read -r file; do
        if [[ -x $file ]] && "$file" --list 2>/dev/null | grep -q golden_cases_agree_within; then
            golden=$file
            break
        fi
    done < <(ls -t "$built"/deps/golden-* 2>/dev/null)
fi
[[ -x $bertkit ]] || fail "there is no $bertkit" "build it: cargo build --release"
[[ -x $golden ]] || fail "the test of the golden cases is not built" "cargo test --release --workspace --no-run"
[[ -d $cases && -d $data ]] || fail "there is no $cases or no $data" "make the archive anew with --pack"

if [[ -n $pack ]]; then
    staging=$(mktemp -d)
    trap 'rm -rf "$staging"' EXIT
    mkdir "$staging/gpu-check"
    cp "$bertkit" "$staging/gpu-check/bertkit"
    cp "$golden" "$staging/gpu-check/golden"
    cp -r "$cases" "$staging/gpu-check/cases"
    cp -r "$data" "$staging/gpu-check/data"
    cp "${BASH_SOURCE[0]}" "$staging/gpu-check/gpu-check.sh"
    tar -C "$staging" -czf "$pack" gpu-check
    printf '%s: %s\n' "$pack" "$(du -h "$pack" | cut -f1)"
    exit 0
fi

made=
if [[ -z $work ]]; then
    work=$(mktemp -d)
    made=$work
fi
mkdir -p "$work"
"$bertkit" devices

table=() failed=0
# check NAME FUNCTION: runs it with its output in a file; its last line of standard output is the result.
check() {
    local name=$1 began=$SECONDS result outcome=ok
    shift
    printf '\n%s …\n' "$name"
    # Not `if`: inside a condition `set -e` is off.
    set +e
    result=$(set -e; "$@" 2>"$work/$name.log" | tail -n 1)
    local code=$?
    set -e
    if ((code != 0)); then
        outcome=FAILED failed=1
        tail -n 20 "$work/$name.log"
    fi
    printf '%s: %s\n' "$outcome" "$result"
    table+=("$(printf '%-11s %-7s %8d  %s' "$name" "$outcome" "$((SECONDS - began))" "$result")")
}
# numbers RUN SPLIT NAME: the values of a metric, one a line.
numbers() { grep "\"split\":\"$2\",\"name\":\"$3\"" "$1/metrics.jsonl" | sed 's/.*"value":\([^,}]*\).*/\1/'; }
# falls RUN: the mean of the last quarter of the training loss lies below that of the first; both are printed.
falls() {
    numbers "$1" train loss | awk '{ v[NR] = $1 } END {
        q = int(NR / 4); if (q < 1) q = 1
        for (i = 1; i <= q; i++) { a += v[i] / q; b += v[NR - q + i] / q }
        printf "loss %.4f to %.4f\n", a, b
        exit !(NR > 1 && b < a) }'
}
# near A B SHARE
near() { awk -v a="$1" -v b="$2" -v s="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; if (a < 0) a = -a; exit !(a != "" && d <= s * a) }'; }

golden_cases() {
    BERTKIT_GOLDEN_DIR=$cases BERTKIT_GOLDEN_DEVICE=$device "$golden" golden_cases_agree_within --nocapture >"$work/golden.out" 2>&1 ||
        { cat "$work/golden.out" >&2; return 1; }
    grep -q '1 passed' "$work/golden.out"
    printf '%d cases within 1e-4\n' "$(grep -cE '^[a-z0-9-]+: [0-9.]+ s$' "$work/golden.out")"
}
cat >"$work/model.toml" <<'TOML'
seed = 1
[model.fresh]
family = "electra"
num_hidden_layers = 2
hidden_size = 128
num_attention_heads = 2
intermediate_size = 512
max_position_embeddings = 128
[tokenizer]
type = "wordpiece"
vocab_size = 4000
lowercase = true
TOML
pretrain() {
    "$bertkit" pretrain --config "$work/model.toml" --corpus "$data/corpus" --objective rtd --device "$device" --steps "$steps" \
        --batch-size 16 --max-length 64 --set optimizer.learning_rate=1e-3 --set "training.checkpoint_steps=$((steps / 4))" "$@" >&2
}
rtd() {
    pretrain --output "$work/rtd" --overwrite
    falls "$work/rtd"
}
killed() {
    rm -rf "$work/killed"
    pretrain --output "$work/killed" --overwrite &
    local process=$!
    until [[ -e $work/killed/checkpoints/latest ]]; do
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$process" 2>/dev/null || { echo "it ended before it could be killed: raise --steps"; return 1; }
    wait "$process" 2>/dev/null || true
    pretrain --output "$work/killed" --resume
    local whole resumed
    whole=$(numbers "$work/rtd" valid loss | tail -n 1)
    resumed=$(numbers "$work/killed" valid loss | tail -n 1)
    printf 'validation loss %.5f, uninterrupted %.5f\n' "$resumed" "$whole"
    near "$whole" "$resumed" 0.01
}
finetune() {
    "$bertkit" finetune --model "$work/rtd" --train "$data/amazon_train.csv" --text text --label label --device "$device" \
        --output "$work/classifier" --overwrite --valid-fraction 0 --batch-size 16 --max-length 64 --epochs 100 \
        --set "training.max_steps=$steps" --set optimizer.learning_rate=1e-3 --seed 1 >&2
    falls "$work/classifier"
}
evaluate() {
    local where losses=()
    for where in "$device" cpu; do
        "$bertkit" eval "$work/classifier" --data "$data/amazon_test.csv" --device "$where" --json --bootstrap 0 --name "$where" >"$work/$where.json"
        losses+=("$(sed 's/.*"log_loss":{"value":\([^,}]*\).*/\1/' "$work/$where.json")")
    done
    printf 'log loss %.6f, on the CPU %.6f\n' "${losses[@]}"
    near "${losses[1]}" "${losses[0]}" 1e-3
}

# The same batches on one device in halves, and on two: the next one of that kind, or else, where that is possible, the same.
several() {
    local one=${device%%:*}:0 two where losses=()
    two=${device%%:*}:1
    if [[ $device == cpu ]]; then
        one=cpu two=cpu
    elif ! "$bertkit" devices | grep -q "^$two "; then
        [[ $device != cuda* ]] || { echo "left out: there is one GPU"; return 0; }
        two=$one
    fi
    for where in "$one" "$one,$two"; do
        "$bertkit" finetune --model "$work/rtd" --train "$data/amazon_train.csv" --text text --label label --device "$where" \
            --output "$work/several" --overwrite --valid-fraction 0 --batch-size 16 --micro-batch 8 --max-length 64 --epochs 1 \
            --set training.max_steps=8 --set optimizer.learning_rate=1e-4 --seed 1 >&2
        losses+=("$(numbers "$work/several" train loss | tail -n 1)")
    done
    printf '%s: loss %.6f, on one %.6f\n' "$one,$two" "${losses[1]}" "${losses[0]}"
    near "${losses[0]}" "${losses[1]}" 1e-3
}

check golden golden_cases
check pretrain rtd
check resume killed
check finetune finetune
check eval evaluate
check devices several

printf '\n%s, %d steps\n%-11s %-7s %8s  %s\n' "$device" "$steps" step result seconds ""
printf '%s\n' "${table[@]}"
if ((failed)); then
    printf '\nsomething failed; %s has the output of every step\n' "$work"
    exit 1
fi
[[ -z $made ]] || rm -rf "$made"
