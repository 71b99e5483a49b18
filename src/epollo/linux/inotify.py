"""inotify(7) as inotify_simple has it, with the C library that is in this process already.

Fact: when `INotify` is first used, inotify_simple looks for the C library by ldconfig(8), a compiler and
temporary files, each of which may be missing or refused.
Decision: it is given the library.
Price: a name of inotify_simple that it does not promise; without it, the library is looked for again.
"""

import inotify_simple
from inotify_simple import INotify

from epollo.linux.libc import LIBC

inotify_simple._libc = LIBC

__all__ = ["INotify"]
