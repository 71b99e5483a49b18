"""What is wrong with a site: its rules, its links, the files beside its files, names that hide others.

Each link is asked for as a browser asks, and answered by the code that serves: what is found here is
what clients get.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from epollo.annotations import Final
from epollo.diagnosis.fingerprint_faults import (
    is_integral,
    is_version,
    list_false_digests,
    may_be_versioned,
)
from epollo.diagnosis.links import Reference, list_references
from epollo.diagnosis.protection_faults import list_open_links
from epollo.diagnosis.rule_faults import ask, list_rule_faults
from epollo.diagnosis.subject import Question, Subject
from epollo.http.target import decode_path, encode_path
from epollo.site.access.realm import Realm, parse_prefixes
from epollo.site.candidates import HTML, INDEX
from epollo.site.media_types import select_media_type
from epollo.site.negotiation import COMPRESSED_OCTETS_MINIMUM
from epollo.site.resolve import RULE_FILES, Names

_READ_OCTETS: Final = 4 * 1024 * 1024
_REDIRECTS_FOLLOWED: Final = 5
_ORIGIN: Final = "http://localhost"
_CODINGS: Final = {b".br": b"br", b".gz": b"gzip", b".zst": b"zstd"}


def check_sites(subject: Subject) -> list[str]:
    """Return a line for each thing that is wrong, with its place and a remedy."""
    findings: list[str] = []
    for number in range(len(subject.settings)):
        findings += _Check(subject, number).list_findings()
    # Mistakes in rules are found when the rule files are read, others when something is asked for.
    return list(dict.fromkeys([*subject.reports, *findings]))


class _Check:
    """The examination of one site."""

    def __init__(self, subject: Subject, number: int) -> None:
        self._subject = subject
        self._number = number
        self._settings = subject.settings[number]
        self._root = os.fsencode(self._settings.root)
        self._files = _list_files(self._root)
        self._statuses: dict[tuple[bytes, bool], int] = {}
        # By path: the version that a query names, and the place of the first query that names it.
        self._versions: dict[bytes, tuple[bytes, str]] = {}
        # So that a name that is kept forever by mistake is reported once.
        self._unversioned: set[bytes] = set()
        self._by_case = {
            encode_path(_path_of(names)).lower(): _path_of(names) for names in self._files
        }

    def list_findings(self) -> Iterator[str]:
        """Return what is wrong with the site."""
        paths = [_path_of(names) for names in self._files]
        if self._settings.clean_urls:
            paths += [_strip(names) for names in self._files if names[-1].endswith(HTML)]
        for name, line, reason in list_rule_faults(self._subject, self._number, paths):
            yield f"{self._show((name.encode(),))}:{line}: {reason}"
        yield from self._check_names(set(self._files))
        if self._settings.auth:
            yield from self._check_protection()
        yield from self._check_references()
        yield from self._check_digests()
        if self._settings.compress:
            yield from self._check_sidecars(set(self._files))

    def _show(self, names: Names) -> str:
        return os.fsdecode(os.path.join(self._root, *names))

    def _check_names(self, files: set[Names]) -> Iterator[str]:
        """Find names that hide others, and rule files that do not count."""
        for names in sorted(files):
            shown = self._show(names)
            if names[-1] in RULE_FILES:
                yield f"{shown}: only the one in the root holds rules; this one is sent to any client"
            page = (*names[:-1], names[-1] + HTML)
            if self._settings.clean_urls and page in files:
                path = encode_path(names).decode()
                yield f"{shown}: it hides {os.fsdecode(page[-1])} at {path}; rename one of the two"

    def _check_protection(self) -> Iterator[str]:
        """Find links by which a client reads without a password what needs one by its own path."""
        realm = Realm(parse_prefixes(self._settings.auth_paths))
        for link, target in list_open_links(self._root, realm):
            shown = encode_path(target).decode() or "/"
            yield (
                f"{self._show(link)}: this link leads to {shown} without a password; remove it, or name "
                "its path in --auth-paths, too"
            )

    def _check_references(self) -> Iterator[str]:
        """Find links to what is not there, in the wrong case, or over plain http."""
        for names in self._files:
            name = names[-1].lower()
            is_css = name.endswith(b".css")
            if not is_css and not name.endswith((HTML, b".htm", b".xhtml")):
                continue
            path = os.path.join(self._root, *names)
            base = _ORIGIN + encode_path(_path_of(names)).decode()
            for reference in list_references(_read(path), base, is_css=is_css):
                place = f"{os.fsdecode(path)}:{reference.line}"
                reason = self._judge(reference, place)
                if reason:
                    yield f"{place}: {reason}"

    def _check_digests(self) -> Iterator[str]:
        """Find names that carry a digest of other content, where browsers go by the name."""
        files = ((names, select_media_type(names[-1]).value) for names in self._files)
        for names, digest in list_false_digests(files, self._hash):
            if self._is_immutable(encode_path(names)):
                yield (
                    f"{self._show(names)}: its name carries the {digest} of other content, and browsers "
                    "keep it for a year without asking; have the build name it anew"
                )

    def _hash(self, names: Names, digest: str) -> bytes:
        with contextlib.suppress(OSError), open(os.path.join(self._root, *names), "rb") as file:
            return hashlib.file_digest(file, digest).hexdigest().encode()
        return b""

    def _is_immutable(self, target: bytes) -> bool:
        """Return whether a browser keeps what is there without asking."""
        asked = ask(self._subject, self._number, target, is_navigation=False)
        said = asked.find_field(b"cache-control") or b""
        return asked.response.status == 200 and b"immutable" in said.lower()

    def _judge(self, reference: Reference, place: str) -> str:
        """Return what is wrong with a reference; nothing if it is right."""
        if not reference.url.startswith(_ORIGIN + "/"):
            if reference.url.startswith("http://") and not reference.is_navigation:
                return f"{reference.url} is fetched over plain http, which a page of https blocks"
            return ""
        parts = urlsplit(reference.url)
        target = quote(parts.path, safe="/%!$&'()*+,;=:@-._~").encode()
        if parts.query:
            target += b"?" + quote(parts.query, safe="/%!$&'()*+,;=:@-._~?").encode()
        key = (target, reference.is_navigation)
        if key not in self._statuses:
            self._statuses[key] = self._follow(target, is_navigation=reference.is_navigation)
        status = self._statuses[key]
        if status < 400:
            return self._judge_fingerprint(reference, target, place)
        if status == 401:
            # What is behind a password is not examined.
            return ""
        known = self._by_case.get(target.partition(b"?")[0].lower())
        if known is not None and encode_path(known) != target:
            return f"{target.decode()} is {status}; it is there as {encode_path(known).decode()}"
        return f"{target.decode()} is {status}: correct the link, or add the file or a redirect"

    def _judge_fingerprint(self, reference: Reference, target: bytes, place: str) -> str:
        """Return what a reference says wrongly of the content that is there."""
        asked = ask(self._subject, self._number, target, is_navigation=reference.is_navigation)
        if asked.response.status != 200:
            return ""
        shown = target.decode()
        if reference.integrity and not is_integral(reference.integrity, self._read_plain(target)):
            return f"integrity has the hash of other content than {shown} has: browsers refuse it"
        if b"immutable" not in (asked.find_field(b"cache-control") or b"").lower():
            return ""
        path, _, query = target.partition(b"?")
        names = decode_path(path)
        is_page = (asked.find_field(b"content-type") or b"").startswith(b"text/html")
        if names is not None and not may_be_versioned(names, query, is_page=is_page):
            if path in self._unversioned:
                return ""
            self._unversioned.add(path)
            return (
                f"browsers keep {shown} for a year without asking (immutable), and its name says nothing "
                "of its content: put a hash into the name, or say no-cache"
            )
        if is_version(query):
            known, where = self._versions.setdefault(path, (query, place))
            if known != query:
                return (
                    f"{shown} is the file that {where} calls {known.decode()}, and browsers keep it for "
                    "a year without asking under both: one of the two is out of date"
                )
        return ""

    def _read_plain(self, target: bytes) -> bytes:
        """Return what is there without a coding."""
        asked = self._subject.ask(Question(target, self._subject.hosts[self._number]))
        return asked.read()

    def _follow(self, target: bytes, *, is_navigation: bool) -> int:
        """Return the status at the end of the redirects of a path."""
        for _ in range(_REDIRECTS_FOLLOWED):
            asked = ask(self._subject, self._number, target, is_navigation=is_navigation)
            location = asked.location
            if location is None or not location.startswith(b"/"):
                return asked.response.status
            target = location.partition(b"#")[0]
        return 508

    def _check_sidecars(self, files: set[Names]) -> Iterator[str]:
        """Find files that claim to be a coding of the file beside them, and are not used."""
        for names in sorted(files):
            ending = next((one for one in _CODINGS if names[-1].endswith(one)), None)
            if ending is None:
                continue
            coded = (*names[:-1], names[-1].removesuffix(ending))
            if coded not in files or self._is_short(coded):
                continue
            before = len(self._subject.reports)
            question = Question(
                encode_path(coded),
                self._subject.hosts[self._number],
                fields={b"Accept-Encoding": _CODINGS[ending]},
            )
            self._subject.ask(question)
            asked = self._subject.ask(question)
            told = self._subject.reports[before:]
            yield from told
            if not told and asked.find_field(b"content-encoding") != _CODINGS[ending]:
                shown = self._show(names)
                yield f"{shown}: it is not used: a file of this type or length is sent plain; delete it"

    def _is_short(self, names: Names) -> bool:
        """Return whether a file is too short for any coding: one beside it costs and saves nothing.

        Tools write some for every file, whatever its length: MkDocs for each ``sitemap.xml``.
        """
        path = os.path.join(self._root, *names)
        with contextlib.suppress(OSError):
            return os.stat(path).st_size < COMPRESSED_OCTETS_MINIMUM
        return False


def _list_files(root: bytes) -> list[Names]:
    """Return the names of all files below the root that are no dotfiles.

    Links to folders are not followed. What is no regular file is left out, because it is not served: a
    pipe, for instance, would have its reader wait.
    """
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            one for one in folders if not one.startswith(b".") or one == b".well-known"
        )
        below = os.path.relpath(folder, root)
        parts = () if below == b"." else tuple(below.split(b"/"))
        found += [
            (*parts, name)
            for name in sorted(names)
            if not name.startswith(b".") and Path(os.fsdecode(os.path.join(folder, name))).is_file()
        ]
    return [names for names in found if names not in {(one,) for one in RULE_FILES}]


def _strip(names: Names) -> Names:
    """Return the clean path of a page."""
    return (*names[:-1], names[-1].removesuffix(HTML))


def _path_of(names: Names) -> Names:
    """Return the path by which a browser knows a file: that of the folder for an index."""
    return (*names[:-1], b"") if names[-1] == INDEX else names


def _read(path: bytes) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_READ_OCTETS).decode("utf-8", "replace")
    except OSError:
        return ""
