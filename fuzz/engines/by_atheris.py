"""Guided by coverage: libFuzzer through atheris, which keeps whatever reaches code not reached before."""

import gc
import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

from trial import INPUT_SECONDS, OCTETS_MAX, Harness, load_harness

_MEBIBYTES_MAX = 2048


def search(name: str, *, seconds: int, inputs: int, seed: int) -> None:
    """Hand the process over to libFuzzer, which ends it: with another status than 0 after a fault."""
    # It has no types, and is no dependency.
    atheris: Any = importlib.import_module("atheris")
    # It makes objects by the hundred thousand, of which none is garbage.
    gc.disable()
    with atheris.instrument_imports(include=["epollo"]):
        harness = load_harness(name)
    gc.freeze()
    gc.enable()
    atheris.Setup(
        [
            sys.argv[0],
            f"-runs={inputs}" if inputs else f"-max_total_time={max(1, seconds)}",
            f"-seed={seed}",
            f"-max_len={OCTETS_MAX}",
            f"-timeout={INPUT_SECONDS}",
            f"-rss_limit_mb={_MEBIBYTES_MAX}",
            f"-dict={_write_dictionary(harness)}",
            "-print_final_stats=1",
            str(_write_corpus(harness)),
        ],
        harness.check,
    )
    atheris.Fuzz()


def _write_dictionary(harness: Harness) -> Path:
    path = Path("dictionary").absolute()
    lines = ["".join(f"\\x{octet:02X}" for octet in token) for token in harness.tokens]
    path.write_text("".join(f'"{line}"\n' for line in lines))
    return path


def _write_corpus(harness: Harness) -> Path:
    folder = Path("seeds").absolute()
    folder.mkdir(exist_ok=True)
    for seed in harness.seeds:
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    return folder
