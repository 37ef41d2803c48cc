"""A process that runs commands for the fuzz, one after another: a line of JSON in, a line of JSON out.

Its address space is bounded, so that a command which asks for too much fails here instead of filling the machine.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from typing import Any

ADDRESS_SPACE = 16 * 2**30


def run(words: list[str], stdin: str) -> dict[str, Any]:
    """How a command ended; the traceback of what it let through."""
    import torch
    from conftest import run_here

    from nmtkit import console
    from nmtkit.cli import errors

    console.set_quiet(False)
    errors.set_debug(False)
    torch.set_num_threads(1)
    try:
        outcome = run_here(*words, stdin=stdin.encode())
    except BaseException as error:
        return {"code": -1, "err": "".join(traceback.format_exception(error))[-2000:]}
    return {"code": outcome.code, "err": outcome.err}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no result
    for line in sys.stdin:
        case = json.loads(line)
        result = run(case["words"], case["stdin"])
        result["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()
