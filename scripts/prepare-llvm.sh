#!/usr/bin/env bash
# Burn's CUDA build downloads an LLVM of its own. Where that is not possible, this puts Debian's LLVM 22 in its place, so
# that bertkit can be built with CUDA from package registries alone:
#
#   scripts/prepare-llvm.sh DIR          (makes DIR; installs llvm-22-dev with apt-get if it is absent, as root)
#   XDG_DATA_HOME=DIR cargo build --release --features cuda-nvrtc
#
# `cuda-nvrtc` generates CUDA C++ and compiles it with NVIDIA's NVRTC when a kernel is first needed (libnvrtc must be there
# at run time); the LLVM is linked, because Burn's code names it, and not used. DIR must be kept: later builds look there.
set -euo pipefail

# As in tracel-llvm-bundler, which is in Cargo.lock.
bundle=23.1.0-4
llvm=22

fail() {
    printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

if [[ $# -ne 1 || $1 == -* ]]; then
    printf 'usage: scripts/prepare-llvm.sh DIR\n' >&2
    exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.." && root=$PWD && cd "$OLDPWD"
if ! grep -A1 'name = "tracel-llvm-bundler"' "$root/Cargo.lock" | grep -q "\"$bundle\""; then
    fail "Cargo.lock has another version of tracel-llvm-bundler than $bundle" "set \`bundle\` in this script to its version"
fi
if [[ $(uname -s) != Linux ]]; then
    fail "this is for Debian and Ubuntu, not for $(uname -s)" "build with the feature \`cuda\`, which downloads what it needs"
fi

packages=("llvm-$llvm-dev" libz3-dev zlib1g-dev libzstd-dev libxml2-dev g++)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
    command -v apt-get >/dev/null || fail "there is no apt-get to install ${missing[*]}" "install them, or use Debian 12 or newer"
    [[ $(id -u) == 0 ]] || fail "${missing[*]} are not installed" "run: sudo apt-get install ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet >/dev/null
    apt-cache show "llvm-$llvm-dev" >/dev/null 2>&1 ||
        fail "this release offers no llvm-$llvm-dev" "Debian 12 has it in its security repository; add that, or apt.llvm.org"
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}" >/dev/null
fi
config=$(command -v "llvm-config-$llvm") || fail "llvm-config-$llvm was not found" "install llvm-$llvm-dev"

mkdir -p "$1"
data=$(cd "$1" && pwd)
prefix=$data/tracel/tracel-llvm-$bundle
mkdir -p "$prefix/bin"
cat >"$prefix/bin/llvm-config" <<SCRIPT
#!/bin/sh
# Debian's llvm-config without Polly, which is another package, and with the system's libraries as plain names.
answer=\$("$config" "\$@") || exit
case " \$* " in
    *" --system-libs "*) echo "-lrt -ldl -lm -lz3 -lz -lzstd -lxml2" ;;
    *" --libs "*) for word in \$answer; do case \$word in -lPolly*) ;; *) printf '%s ' "\$word" ;; esac; done; echo ;;
    *) echo "\$answer" ;;
esac
SCRIPT
chmod +x "$prefix/bin/llvm-config"
touch "$prefix/.tracel-llvm-installed"
printf 'LLVM %s stands in for the bundle, in %s\n' "$("$prefix/bin/llvm-config" --version)" "$prefix"
printf 'now: XDG_DATA_HOME=%q cargo build --release --features cuda-nvrtc\n' "$data"
