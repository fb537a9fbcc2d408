"""Runs many commands of `ovparts` in one process, as starting one takes seconds.

Reads a JSON list of `{"arguments": [...], "token": ..., "endpoint": ...}` and prints one of `[exit code, output, error
output]`. The endpoint is that of the process where it is None. Nothing waits before another try.
"""

import json
import os
import sys
import tempfile
import time

import pytest

from ovparts_hf.cli import main

from .endpoint import use_endpoint

time.sleep = lambda seconds: None


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Runs one command; what it, and what it calls, writes to the standard streams is caught."""
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            code = main(arguments)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return code, *texts


def run_all(commands: list[dict[str, object]]) -> list[tuple[int, str, str]]:
    """Runs commands one after the other, each with its own token (none by default) and Hub."""
    results = []
    for command in commands:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("HF_TOKEN", raising=False)
            if token := command.get("token"):
                patch.setenv("HF_TOKEN", token)
            if endpoint := command.get("endpoint"):
                use_endpoint(patch, endpoint)
            results.append(run(command["arguments"]))
    return results


if __name__ == "__main__":
    json.dump(run_all(json.load(sys.stdin)), sys.stdout)
