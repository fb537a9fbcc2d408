"""Runs programs, each in a fork of a process with the libraries of others and nothing of ours: imports take seconds.

Reads a JSON list of `[program, *arguments]` and prints one of `[exit code, output, error output]`.
"""

import json
import multiprocessing
import os
import sys
import tempfile

from tests.garbage import look_less_often

look_less_often()

import datasets  # noqa: F401, E402
import evaluate  # noqa: F401, E402
import torch  # noqa: F401, E402
import transformers.pipelines  # noqa: F401, E402


def run(program: str, *arguments: str) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = out.fileno(), err.fileno()
        process = multiprocessing.get_context("fork").Process(target=_run, args=(program, arguments, *streams))
        process.start()
        process.join()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return process.exitcode, *texts


def _run(program: str, arguments: tuple[str, ...], out: int, err: int) -> None:
    os.dup2(out, 1)
    os.dup2(err, 2)
    assert "ovparts_hf" not in sys.modules
    sys.argv = ["-c", *arguments]
    exec(program, {"__name__": "__main__"})


if __name__ == "__main__":
    json.dump([run(*program) for program in json.load(sys.stdin)], sys.stdout)
