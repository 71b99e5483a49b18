"""The user of the process: root becomes another user permanently; capabilities are dropped."""

import grp
import os
import pwd
import struct

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.libc import call
from epollo.named_tuples import NamedTuple

_CAPABILITY_VERSION_3: Final = 0x20080522
_HEADER: Final = struct.Struct("=Ii")
_SETS: Final = struct.Struct("=6I")
"""Effective, permitted and inheritable: 32 bits of each, then the next 32 (capget(2))."""
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

_DAC_READ_SEARCH: Final = 1 << 2
"""CAP_DAC_READ_SEARCH (capabilities(7)): root reads what belongs to others."""
_IDS_LIMIT: Final = 2**32 - 1
"""One below: (uid_t) -1 means "leave it" (setresuid(2))."""


class Identity(NamedTuple):
    """A user, with the groups that it is in; ``name`` is how the operator called it."""

    name: str
    user: int
    group: int
    groups: tuple[int, ...]


def resolve_identity(text: str) -> Identity:
    """Return the identity that ``USER`` or ``USER:GROUP`` means, each a name or a number.

    Without a group it is the user's own. Raises `OperatorError` for one that is not known, and for
    root, which would change nothing.
    """
    user_text, colon, group_text = text.partition(":")
    entry = _find_user(user_text)
    user = _parse_id(user_text) if entry is None else entry.pw_uid
    if user is None:
        raise OperatorError(f"there is no user {user_text or '(an empty name)'}")
    if user == 0:
        raise OperatorError("--user is the user that root becomes, and cannot be root itself")
    if colon:
        group = _find_group(group_text)
    elif entry is not None:
        group = entry.pw_gid
    else:
        raise OperatorError(
            f"user {user} has no name here: name its group too, --user {user}:GROUP"
        )
    groups = [group] if entry is None else os.getgrouplist(entry.pw_name, group)
    return Identity(text, user, group, tuple(sorted(set(groups))))


def _find_user(text: str) -> pwd.struct_passwd | None:
    number = _parse_id(text)
    try:
        return pwd.getpwnam(text) if number is None else pwd.getpwuid(number)
    except (KeyError, ValueError):
        # ValueError: a NUL, or a character that the system's encoding does not have.
        return None


def _find_group(text: str) -> int:
    number = _parse_id(text)
    if number is not None:
        return number
    try:
        return grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        raise OperatorError(f"there is no group {text or '(an empty name)'}") from None


def _parse_id(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < _IDS_LIMIT:
        return int(text)
    return None


def require_root(identity: Identity) -> None:
    """Raise `OperatorError` if this process is not root, and so cannot become another user."""
    if os.geteuid() != 0:
        raise OperatorError(f"only root can become user {identity.name}: omit --user")


def become(identity: Identity) -> None:
    """Become another user, in every thread, and make sure that there is no way back.

    Only root can. Raises `OperatorError` for any other user, and where root may not (in a container
    without CAP_SETUID).
    """
    require_root(identity)
    try:
        # In this order: after setresuid, the process has no right to do the rest.
        os.setgroups(identity.groups)
        os.setresgid(identity.group, identity.group, identity.group)
        os.setresuid(identity.user, identity.user, identity.user)
    except OSError as error:
        raise OperatorError(f"cannot become user {identity.name}: {error.strerror}") from None
    if not _is_permanent(identity):
        raise OperatorError(f"became user {identity.name}, but could be root again")


def _is_permanent(identity: Identity) -> bool:
    """Return whether the process is wholly this user; the way back to root is tried, and has to fail."""
    is_whole = (
        os.getresuid() == (identity.user,) * 3
        and os.getresgid() == (identity.group,) * 3
        and set(os.getgroups()) == set(identity.groups)
    )
    try:
        os.setresuid(-1, 0, -1)
    except PermissionError:
        return is_whole
    return False


def drop_capabilities() -> None:
    """Drop all capabilities of this thread but the one to read the files of others.

    Root keeps that one, so that a site that root could read stays readable. Raises `OSError`.
    """
    header = _HEADER.pack(_CAPABILITY_VERSION_3, 0)
    sets = bytearray(_SETS.size)
    call("capget", header, sets)
    permitted = _SETS.unpack(sets)[1] & _DAC_READ_SEARCH
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    call("capset", header, _SETS.pack(permitted, permitted, 0, 0, 0, 0))
