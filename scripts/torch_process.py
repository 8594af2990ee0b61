"""A process of scripts/peers/torch_steps.py that waits for its turns, for bench-peers.py and bench-gpu.py."""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


class TorchProcess:
    """Its model is built once; `greeting` is what it then says, and None if it ended instead."""

    def __init__(self, python, config, work, lengths, threads, more=(), **process):
        command = [python, ROOT / "scripts/peers/torch_steps.py", "--config", config, "--work", work,
                   "--lengths", ",".join(map(str, lengths)), "--threads", threads, *more]
        self.child = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **process)
        self.greeting = self.read()

    def read(self):
        """What it says next, or None where it has ended."""
        line = self.child.stdout.readline()
        if not line:
            self.child.wait()
            return None
        return json.loads(line)

    def ask(self, warmup, steps):
        self.child.stdin.write(json.dumps({"warmup": warmup, "steps": steps}) + "\n")
        self.child.stdin.flush()
        return self.read()

    def close(self):
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass  # it has ended by itself
        self.child.wait()
