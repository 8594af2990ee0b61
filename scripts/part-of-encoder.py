#!/usr/bin/env python3
"""Where does pretraining's gain lie? Keeps the embeddings of an encoder, or its layers, and draws the rest anew.

    python3 scripts/part-of-encoder.py runs/small/model runs/embeddings embeddings
    python3 scripts/part-of-encoder.py runs/small/model runs/layers layers

Matrices are drawn from a normal distribution with a standard deviation of 0.02; biases are 0, and the weights of LayerNorm 1. Both
folders are Hugging Face's, so that `bertkit finetune --model` takes the result. Only the standard library is needed.
"""

import array
import json
import pathlib
import random
import shutil
import struct
import sys


def main():
    if len(sys.argv) != 4 or sys.argv[3] not in ("embeddings", "layers"):
        sys.exit(__doc__)
    source, target, kept = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    if not (source / "model.safetensors").is_file():
        sys.exit(f"error: there is no {source / 'model.safetensors'}")
    if target.exists():
        sys.exit(f"error: {target} is there already; name a new folder")
    content = (source / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    tensors, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    draw = random.Random(0)
    for name, tensor in tensors.items():
        if name == "__metadata__" or ("embeddings" in name) == (kept == "embeddings"):
            continue
        first, last = tensor["data_offsets"]
        number = (last - first) // 4
        if tensor["dtype"] != "F32":
            sys.exit(f"error: {name} is {tensor['dtype']}, expected F32")
        if len(tensor["shape"]) == 2:
            values = (draw.gauss(0.0, 0.02) for _ in range(number))
        else:
            values = [1.0 if name.endswith("LayerNorm.weight") else 0.0] * number
        data[first:last] = array.array("f", values).tobytes()
    shutil.copytree(source, target)
    (target / "model.safetensors").write_bytes(content[: 8 + length] + bytes(data))


if __name__ == "__main__":
    main()
