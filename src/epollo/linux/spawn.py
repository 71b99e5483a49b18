"""Starts a program without holding up the other threads of this process.

Facts: posix_spawn(3) waits until the program runs. This takes a millisecond, or tens of them if other
programs want the processors. `os.posix_spawn` and `subprocess` hold the interpreter meanwhile.
Decision: the function is called by ctypes, which releases the interpreter.
"""

import ctypes
import os
from collections.abc import Collection, Mapping, Sequence

from epollo.annotations import Final
from epollo.linux.libc import LIBC

_SETSIGMASK: Final = 0x08
# Larger than any C library has them: glibc 80, 336 and 128, musl 80, 336 and 128.
_OPAQUE_OCTETS: Final = 1024


def spawn(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    moves: Sequence[tuple[int, int]],
    blocked: Collection[int],
) -> int:
    """Start a program; return its process number. Raises `OSError`.

    ``moves`` are descriptors and the numbers that they have in the program, in the order in which these
    are taken. ``blocked`` are the signals that it begins with blocked.
    """
    actions, attributes, signals = (ctypes.create_string_buffer(_OPAQUE_OCTETS) for _ in range(3))
    _call("posix_spawn_file_actions_init", actions)
    try:
        for descriptor, number in moves:
            _call("posix_spawn_file_actions_adddup2", actions, descriptor, number)
        LIBC.sigemptyset(signals)
        for one in blocked:
            LIBC.sigaddset(signals, int(one))
        _call("posix_spawnattr_init", attributes)
        try:
            _call("posix_spawnattr_setsigmask", attributes, signals)
            _call("posix_spawnattr_setflags", attributes, ctypes.c_short(_SETSIGMASK))
            pid = ctypes.c_int()
            _call(
                "posix_spawn",
                ctypes.byref(pid),
                os.fsencode(program),
                actions,
                attributes,
                _make_texts(arguments),
                _make_texts([f"{name}={value}" for name, value in environment.items()]),
            )
        finally:
            LIBC.posix_spawnattr_destroy(attributes)
    finally:
        LIBC.posix_spawn_file_actions_destroy(actions)
    return pid.value


def _call(name: str, *arguments: object) -> None:
    """Call a function that returns the number of an error, or 0."""
    number = LIBC[name](*arguments)
    if number:
        raise OSError(number, os.strerror(number))


def _make_texts(texts: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    """Return an array of texts that ends with the null pointer."""
    return (ctypes.c_char_p * (len(texts) + 1))(*map(os.fsencode, texts), None)
