#!/usr/bin/env bash
# Runs the code with `unsafe` in it under LLVM's sanitizers: the kernels of crates/model over hundreds of shapes on
# 1, 3 and 8 threads, compared with plain loops (scripts/kernels/main.rs), parts of mapped files, and the tests of
# mapped corpora in crates/data.
#
#   scripts/sanitize-kernels.sh [address] [thread] [memory] [corpus]     all four by default
#
# address  reads and writes beyond memory or after its end; with debug assertions, also of pointers and slices
# thread   races: two threads at one place, one of them writing
# memory   numbers that are read before they were written
# corpus   address, over the tests of `corpus` in crates/data
#
# The sanitizers are of nightly Rust, but their run-time libraries come with stable Rust for Linux on x86-64, where
# RUSTC_BOOTSTRAP=1 lets them be used. `thread` and `memory` need a standard library that is built with them, and so
# its source: `rustup component add rust-src`. Builds the kernels without the tensor library, which would take an hour.
# Miri cannot run them: the products' vector instructions are not among those that it knows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

root=$PWD
host=x86_64-unknown-linux-gnu
export RUSTC_BOOTSTRAP=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
(($# > 0)) || set -- address thread memory corpus

# build SANITIZER FLAGS ARGUMENT...: the kernels with the sanitizer, at target/kernels/SANITIZER/$host/release/kernels.
build() {
    local kind=$1 flags=$2
    shift 2
    cp Cargo.lock scripts/kernels/Cargo.lock
    # Without the second flag, the sanitizer of threads would not see what crossbeam's fences order.
    RUSTFLAGS="-Zsanitizer=$kind -Cdebug-assertions=on --cfg crossbeam_sanitize_thread $flags" \
        cargo build --release --manifest-path scripts/kernels/Cargo.toml --target "$host" \
        --target-dir "$root/target/kernels/$kind" "$@"
}

for kind in "$@"; do
    echo "sanitize-kernels: $kind"
    program=target/kernels/$kind/$host/release/kernels
    case $kind in
    address)
        build address "" --features mapped
        "$program" 60
        ;;
    thread)
        build thread "" -Zbuild-std
        "$program" 20
        ;;
    memory)
        build memory -Zsanitizer-memory-track-origins -Zbuild-std
        "$program" 20
        ;;
    corpus)
        RUSTFLAGS="-Zsanitizer=address" cargo test --locked -p bertkit-data --lib \
            --target "$host" --target-dir "$root/target/kernels/corpus" corpus
        ;;
    *)
        echo "error: there is no sanitizer \`$kind\`; expected address, thread, memory or corpus" >&2
        exit 2
        ;;
    esac
done
echo "sanitize-kernels: nothing was found"
