"""Chance alone, with the standard library: for where atheris has no wheel."""

import random
import sys
import time

from trial import OCTETS_MAX, find_fault, load_harness, note_fault

_CHANGES_MAX = 4
# Octets on which grammars turn.
_SIGNIFICANT = b'\x00\t\n\x0b\r "#%,-./0159:;=?@[\\]^a~\x7f\x80\xa0\xff'


class Mutation:
    """Changes octets as a fuzzer does: cut, double, swap, put in what grammars turn on."""

    def __init__(self, chance: random.Random, seeds: list[bytes], tokens: tuple[bytes, ...]):
        self._chance = chance
        self._seeds = seeds
        self._tokens = tokens

    def make(self) -> bytes:
        """Return a seed with a few changes."""
        octets = self._chance.choice(self._seeds)
        for _ in range(self._chance.randint(1, _CHANGES_MAX)):
            octets = self._change(octets)
        return octets[:OCTETS_MAX]

    def _change(self, octets: bytes) -> bytes:
        chance = self._chance
        begin = chance.randint(0, len(octets))
        end = min(len(octets), begin + chance.choice((0, 1, 1, 2, 4, 16, 64)))
        kind = chance.randrange(7)
        if kind == 0:
            middle = b""
        elif kind == 1:
            middle = octets[begin:end] * chance.choice((2, 2, 3, 20))
        elif kind == 2:
            middle = bytes([chance.choice(_SIGNIFICANT)])
        elif kind == 3:
            middle = octets[begin:end] + chance.choice(self._tokens)
        elif kind == 4:
            middle = chance.randbytes(end - begin)
        elif kind == 5:
            other = chance.choice(self._seeds)
            place = chance.randint(0, len(other))
            middle = other[place : place + chance.choice((8, 64, OCTETS_MAX))]
        else:
            middle = octets[begin:end].swapcase()
        return octets[:begin] + middle + octets[end:]


def search(name: str, *, seconds: int, inputs: int, seed: int) -> None:
    """Try what chance makes of the corpus; end the process with status 1 at the first fault."""
    harness = load_harness(name)
    mutation = Mutation(random.Random(seed), harness.seeds, harness.tokens)
    end = time.monotonic() + seconds
    tried = 0
    while tried < inputs if inputs else time.monotonic() < end:
        octets = mutation.make()
        tried += 1
        fault = find_fault(harness.check, octets)
        if fault is not None:
            note_fault(octets, fault)
            sys.exit(1)
    print(f"number_of_executed_units: {tried}")
