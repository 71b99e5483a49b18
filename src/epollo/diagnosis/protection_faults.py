"""Links of a site that lead past a password: what one path protects is open by another."""

import os
from collections.abc import Iterator

from epollo.site.access.realm import Realm
from epollo.site.resolve import Names


def list_open_links(root: bytes, realm: Realm) -> Iterator[tuple[Names, Names]]:
    """Return each link in the open part of a site that leads into the protected one, and where to.

    A link to a folder above a protected one counts, too.
    """
    real_root = os.path.realpath(root)
    for folder, folders, names in os.walk(real_root):
        folders[:] = sorted(one for one in folders if not one.startswith(b"."))
        for name in sorted([*folders, *names]):
            path = os.path.join(folder, name)
            if name.startswith(b".") or not os.path.islink(path):
                continue
            link = _names_of(path, real_root)
            try:
                target = _names_of(os.path.realpath(path, strict=True), real_root)
            except OSError:
                # It leads nowhere, or in a circle.
                continue
            if link is None or target is None or realm.has(link):
                continue
            if realm.has(target) or realm.has_below(target):
                yield link, target


def _names_of(path: bytes, root: bytes) -> Names | None:
    """Return an absolute path below the root as names; None if it is elsewhere."""
    names = os.path.relpath(path, root).split(b"/")
    if names[0] == b"..":
        return None
    return () if names == [b"."] else tuple(names)
