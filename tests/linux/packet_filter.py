"""An interpreter of the classic Berkeley Packet Filter, of as much as our programs use (seccomp(2))."""

import struct
from collections.abc import Sequence
from typing import Final

from epollo.linux.seccomp import (
    AND,
    JUMP_IF_EQUAL,
    JUMP_IF_GREATER,
    LOAD,
    RETURN,
    Instruction,
)

_DATA: Final = struct.Struct("<iIQ6Q")
_WORD: Final = 1 << 32


def run(
    program: Sequence[Instruction], audit: int, number: int, arguments: Sequence[int] = ()
) -> int:
    """Return the verdict about a call; negative arguments are what C makes of them."""
    padded = [one % (1 << 64) for one in (*arguments, *[0] * (6 - len(arguments)))]
    data = _DATA.pack(number, audit, 0x7FFF_1234_5678, *padded)
    accumulator, position = 0, 0
    while True:
        code, operand, when_true, when_false = program[position]
        position += 1
        if code == LOAD:
            # The kernel refuses a program that reads beside a word.
            assert operand % 4 == 0
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == AND:
            accumulator &= operand
        elif code == JUMP_IF_EQUAL:
            position += when_true if accumulator == operand else when_false
        elif code == JUMP_IF_GREATER:
            position += when_true if accumulator > operand else when_false
        else:
            assert code == RETURN
            return operand
