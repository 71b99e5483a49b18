"""What a worker gives up before it serves, so that the kernel holds it to what it is for.

After `confine`, whatever runs in this process can read the files beneath the root and use the
descriptors that are open. It can read no other file, and write, make, remove and execute none. After
`filter_calls`, it makes no system calls but those of `system_calls`. This holds for the interpreter
too: what it would read from its own folders later is read before.
"""

import codecs
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.landlock import describe_handled, find_abi, restrict_to_reading
from epollo.linux.libc import load_library, set_no_new_privileges
from epollo.linux.privileges import become, drop_capabilities, resolve_identity
from epollo.linux.seccomp import compile_filter, install_filter
from epollo.linux.system_calls import Row, find_architecture, select_worker_calls

_LATE_MODULES: Final = ("unicodedata", "warnings")
# The interpreter wants them to show the lines of a fault, of a warning, or of what was not closed, as
# testers want it. Where they cannot be read, it does without.
_LATE_MODULES_OF_TESTERS: Final = ("ast", "linecache", "tokenize", "traceback", "tracemalloc")
_LATE_CODECS: Final = ("ascii", "latin-1", "unicode_escape", "utf-8")


def confine(roots: Sequence[int], sandbox: str, user: str | None = None) -> str:
    """Give up every right that serving does not need; return, for a person, what is in force.

    ``roots`` are descriptors of the folders to be served. ``sandbox`` is ``off``, ``on``, or ``auto``,
    which takes what this kernel has. ``user``, as ``USER`` or ``USER:GROUP``, is the user that root
    becomes, with each of them. To be called once, when everything outside the roots is open, every module
    imported, and no thread but this one started: the kernel restricts threads, not processes.

    Raises `OperatorError` if this cannot be done, or if the user cannot read a root. Raises `OSError`
    if one of ``roots`` is no descriptor, so that this does not pass for a kernel without Landlock.
    """
    for root in roots:
        os.fstat(root)
    preload()
    parts = []
    if user is not None:
        identity = resolve_identity(user)
        become(identity)
        parts.append(f"user {identity.name}")
    if sandbox == "off":
        parts.append("off")
    else:
        parts += _restrict(roots, sandbox)
    if user is not None:
        for root in roots:
            _require_readable(root, user)
    return "; ".join(parts)


def filter_calls(
    sandbox: str, select_calls: Callable[[int], Mapping[str, Row]] = select_worker_calls
) -> str:
    """Give up every system call that serving does not take; return, for a person, what is in force.

    ``sandbox`` is as for `confine`, which has to be called before: the kernel takes a filter only where
    no program can gain privileges. To be called last of all, when nothing more is to be made, bound or
    listened on. ``select_calls`` returns what a process with this number may call.

    Raises `OperatorError` if ``on`` asks for what this kernel does not have.
    """
    if sandbox == "off":
        return ""
    try:
        architecture = find_architecture()
        if architecture is None:
            raise OSError(0, f"no table of calls for {os.uname().machine}")
        install_filter(compile_filter(select_calls(os.getpid()), architecture), architecture)
    except OSError as error:
        if sandbox == "on":
            raise OperatorError(
                f"--sandbox on: system calls cannot be filtered (seccomp): {error.strerror}"
            ) from None
        return f"no filter of system calls here: {error.strerror}"
    return "no new sockets, programs or processes (seccomp)"


def require_landlock() -> None:
    """Raise `OperatorError` if this kernel cannot restrict a process to reading a folder."""
    try:
        find_abi()
    except OSError as error:
        raise _make_refusal(error) from None


def _make_refusal(error: OSError) -> OperatorError:
    return OperatorError(f"--sandbox on: this kernel has no usable Landlock: {error.strerror}")


def preload() -> None:
    """Read what the interpreter and the C library otherwise read when they first need it."""
    for module in (*_LATE_MODULES, *(_LATE_MODULES_OF_TESTERS if sys.warnoptions else ())):
        importlib.import_module(module)
    for codec in _LATE_CODECS:
        codecs.lookup(codec)
    # localtime_r(3) reads the time zone once.
    time.tzset()
    time.localtime()
    # pthread_exit(3) of the GNU C library loads it, and aborts the process where it cannot.
    load_library("libgcc_s.so.1")


def _restrict(roots: Sequence[int], sandbox: str) -> list[str]:
    """Restrict this thread as far as the kernel can; return, for a person, how far that is.

    Raises `OperatorError` if ``on`` asks for more, or a thread would stay as it is.
    """
    if count_threads() > 1:
        # A thread that relays what is printed, where stdout cannot be opened anew.
        raise OperatorError(
            "stdout or stderr is another user's, and the thread that prints there would stay outside the "
            "sandbox: redirect both to a file of this user"
        )
    failure: OSError | None = None
    parts = []
    try:
        set_no_new_privileges()
    except OSError as error:
        failure = error
        parts.append(f"new privileges are possible: {error.strerror}")
    try:
        drop_capabilities()
    except OSError as error:
        failure = error
        parts.append(f"capabilities are kept: {error.strerror}")
    before = "" if parts else "no new privileges, but "
    try:
        abi = find_abi()
        restrict_to_reading(roots, abi)
    except OSError as error:
        failure = error
        parts.append(f"{before}no Landlock here: {error.strerror}")
    else:
        parts.insert(0, describe_handled(abi))
        if before:
            parts.append("no new privileges")
    if sandbox == "on" and failure is not None:
        raise _make_refusal(failure)
    return parts


def count_threads() -> int:
    """Return how many threads this process has, those of libraries as well; 1 without a /proc.

    The links of /proc/self/task are counted, one for each folder in it: a process that is restricted
    already may not list it.
    """
    try:
        return max(1, os.stat("/proc/self/task").st_nlink - 2)
    except OSError:
        return 1


def _require_readable(root: int, user: str) -> None:
    try:
        # Looking up a name takes the right to search the folder (path_resolution(7)).
        os.stat(".", dir_fd=root)
    except OSError as error:
        raise OperatorError(
            f"user {user} cannot read the folder to be served: {error.strerror}"
        ) from None
