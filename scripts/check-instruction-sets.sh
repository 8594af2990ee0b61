#!/usr/bin/env bash
# Whether the kernels compute the same on every instruction set that they are compiled for, of which a machine has
# one: here, and on emulated processors with AVX2 and FMA (Haswell), with neither (Nehalem), and with NEON (AArch64).
#
#   scripts/check-instruction-sets.sh
#
# On x86-64 this compares the fused operations with their composed forms (crates/model/tests/fused.rs, few cases) and
# the kernels with plain loops (scripts/kernels/main.rs), on AArch64 the kernels.
#
# Needs qemu-user. For AArch64, `rustup target add aarch64-unknown-linux-gnu` and a linker and C library
# (gcc-aarch64-linux-gnu and libc6-dev-arm64-cross on Debian); where they are not there, it says so and goes on.
# No emulator here knows AVX-512: it is checked on the machine itself, if that has it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

if ! command -v qemu-x86_64 >/dev/null; then
    echo "error: \`qemu-x86_64\` was not found; install qemu-user" >&2
    exit 1
fi
# Few cases: an emulated processor takes some fifty times as long.
rounds=10
export PROPTEST_CASES=10

cp Cargo.lock scripts/kernels/Cargo.lock
build=(cargo build --release --manifest-path scripts/kernels/Cargo.toml --target-dir "$PWD/target/kernels")
"${build[@]}"
fused=$(cargo test --release --locked -p bertkit -p bertkit-model --test fused --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\/fused-[^"]*\)".*/\1/p')

echo "instruction sets: this machine"
target/kernels/release/kernels "$rounds"
"$fused" --quiet
for processor in Haswell Nehalem; do
    echo "instruction sets: $processor"
    qemu-x86_64 -cpu "$processor" target/kernels/release/kernels "$rounds"
    qemu-x86_64 -cpu "$processor" "$fused" --quiet
done

arm=aarch64-unknown-linux-gnu
if command -v qemu-aarch64 aarch64-linux-gnu-gcc >/dev/null && [[ -d $(rustc --print sysroot)/lib/rustlib/$arm ]]; then
    echo "instruction sets: AArch64"
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc "${build[@]}" --target "$arm"
    qemu-aarch64 -L /usr/aarch64-linux-gnu "target/kernels/$arm/release/kernels" "$rounds"
else
    echo "instruction sets: no AArch64: its emulator, linker or Rust target is not there"
fi
echo "instruction sets: all agree"
