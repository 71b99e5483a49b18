"""What each answer says in Cache-Control, and what a second content under one name changes of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.cache_policy import CachePolicy, select_cache_control
from epollo.site.inspection import Inspected
from epollo.site.media_types import OURS
from epollo.site.representation import Edition, represent
from epollo.site.version import Version
from site_grounds import Ground, replace

IMMUTABLE = "public, max-age=31536000, immutable"
SCRIPT = "/assets/index-DRf8L97S.js"
CONTENT = b"console.log('one')\n" * 100


@pytest.fixture(params=[100, 1024 * 1024], ids=["not kept", "kept"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    root = tmp_path / "root"
    (root / "assets").mkdir(parents=True)
    (root / "folder").mkdir()
    (root / "index.html").write_bytes(b"<!doctype html><title>page</title>\n")
    (root / "index-DRf8L97S.html").write_bytes(b"<!doctype html><title>page</title>\n")
    (root / "plain.js").write_bytes(CONTENT)
    (root / SCRIPT[1:]).write_bytes(CONTENT)
    with Ground(root, kept_octets_limit=request.param) as ground:
        yield ground


def said(ground: Ground, target: str, fields: dict[str, str] | None = None) -> str | None:
    return ground.ask(target, fields).fields.get("cache-control")


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("/", "no-cache"),
        ("/plain.js", "no-cache"),
        ("/index-DRf8L97S.html", "no-cache"),
        (SCRIPT, IMMUTABLE),
        (f"{SCRIPT}?v=1", IMMUTABLE),
    ],
)
def test_every_answer_with_a_file_says_the_same(ground: Ground, target: str, value: str) -> None:
    whole = ground.ask(target)
    tag = whole.fields["etag"]
    last = whole.fields["last-modified"]
    answers = [
        (200, ground.ask(target)),
        (200, ground.ask(target, method="HEAD")),
        (304, ground.ask(target, {"If-None-Match": tag})),
        (304, ground.ask(target, {"If-Modified-Since": last})),
        (206, ground.ask(target, {"Range": "bytes=0-3"})),
        (206, ground.ask(target, {"Range": "bytes=0-3,8-9"})),
        (206, ground.ask(target, {"Range": "bytes=0-3", "If-Range": tag})),
        (200, ground.ask(target, {"Range": "bytes=0-3", "If-Range": '"other"'})),
    ]
    assert [answer.status for _, answer in answers] == [status for status, _ in answers]
    assert {answer.fields["cache-control"] for _, answer in answers} == {value}


def test_an_error_or_a_redirect_is_never_kept_without_asking(ground: Ground) -> None:
    (ground.root / "locked-B2c9aXyz.js").symlink_to("/etc/hostname")
    (ground.root / "folder-B2c9aXyz.js").mkdir()
    answers = [
        (404, ground.ask("/assets/index-B2c9aXyz.js")),
        (404, ground.ask("/.hidden-B2c9aXyz.js")),
        (404, ground.ask("/locked-B2c9aXyz.js")),
        (404, ground.ask("/folder-B2c9aXyz.js/")),
        (301, ground.ask("/folder-B2c9aXyz.js")),
        (301, ground.ask("/folder?a=b")),
        (400, ground.ask("/../index-B2c9aXyz.js")),
        (405, ground.ask(SCRIPT, method="POST")),
        (412, ground.ask(SCRIPT, {"If-Match": '"other"'})),
        (416, ground.ask(SCRIPT, {"Range": "bytes=100000-"})),
    ]
    assert [answer.status for _, answer in answers] == [status for status, _ in answers]
    assert {answer.fields["cache-control"] for _, answer in answers} == {"no-cache"}


def test_the_page_for_what_is_not_there_does_not_inherit(ground: Ground) -> None:
    (ground.root / "404.html").write_bytes(b"<p>no")
    for target in ("/nothing", "/assets/index-B2c9aXyz.js"):
        answer = ground.ask(target)
        assert (answer.status, answer.fields["cache-control"]) == (404, "no-cache")
    assert said(ground, "/404.html") == "no-cache"


@pytest.mark.parametrize("edit", ["in place", "replaced", "deleted between", "same length"])
def test_a_name_with_a_second_content_is_not_immutable_any_more(ground: Ground, edit: str) -> None:
    path = ground.root / SCRIPT[1:]
    assert said(ground, SCRIPT) == IMMUTABLE
    assert ground.reports == []
    if edit == "in place":
        path.write_bytes(CONTENT + b"// more\n")
    elif edit == "replaced":
        replace(path, b"// another\n" + CONTENT)
    elif edit == "deleted between":
        path.unlink()
        assert ground.status(SCRIPT) == 404
        path.write_bytes(CONTENT * 2)
    else:
        before = path.stat().st_mtime_ns
        path.write_bytes(CONTENT.swapcase())
        os.utime(path, ns=(before + 1, before + 1))
    answer = ground.ask(SCRIPT)
    assert answer.content != CONTENT
    assert answer.fields["cache-control"] == "no-cache"
    assert said(ground, SCRIPT, {"If-None-Match": answer.fields["etag"]}) == "no-cache"
    # The first content again, and a third one: reported once.
    for content in (CONTENT, b"// third\n" + CONTENT):
        replace(path, content)
        assert said(ground, SCRIPT) == "no-cache"
    assert len(ground.reports) == 1
    assert ground.reports[0].startswith("assets/index-DRf8L97S.js has changed")


def test_what_is_known_of_a_name_outlives_its_file_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "app.8f9b6e2a.js"
    path.write_bytes(CONTENT)
    others = [tmp_path / f"other{number}.js" for number in range(20)]
    for other in others:
        other.write_bytes(CONTENT)
    # Room for one of these files.
    with Ground(tmp_path, cache_octets=8000) as ground:
        assert said(ground, "/app.8f9b6e2a.js") == IMMUTABLE
        for other in others:
            ground.get(f"/{other.name}")
        replace(path, CONTENT * 2)
        assert said(ground, "/app.8f9b6e2a.js") == "no-cache"
        for other in others:
            ground.get(f"/{other.name}")
        assert said(ground, "/app.8f9b6e2a.js") == "no-cache"
        assert len(ground.reports) == 1


def test_the_same_content_again_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "app.8f9b6e2a.js"
    path.write_bytes(CONTENT)
    with Ground(tmp_path) as ground:
        for _ in range(3):
            assert said(ground, "/app.8f9b6e2a.js") == IMMUTABLE
            replace(path, CONTENT)
            path.chmod(0o600)
            path.touch()
        assert ground.reports == []


def test_a_chmod_of_a_large_file_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "app.8f9b6e2a.js"
    path.write_bytes(CONTENT)
    with Ground(tmp_path, kept_octets_limit=10) as ground:
        assert said(ground, "/app.8f9b6e2a.js") == IMMUTABLE
        path.chmod(0o600)
        assert said(ground, "/app.8f9b6e2a.js") == IMMUTABLE
        assert ground.reports == []


def test_a_sidecar_makes_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "app.8f9b6e2a.js"
    path.write_bytes(CONTENT)
    with Ground(tmp_path) as ground:
        assert said(ground, "/app.8f9b6e2a.js") == IMMUTABLE
        for content in (b"one", b"two"):
            (tmp_path / "app.8f9b6e2a.js.gz").write_bytes(content)
            assert said(ground, "/app.8f9b6e2a.js", {"Accept-Encoding": "gzip"}) == IMMUTABLE
            assert said(ground, "/app.8f9b6e2a.js.gz") == "no-cache"
        assert ground.reports == []


def test_a_copy_that_has_only_begun_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "app.8f9b6e2a.js"
    path.write_bytes(b"")
    with Ground(tmp_path) as ground:
        assert said(ground, "/app.8f9b6e2a.js") == "no-cache"
        path.write_bytes(CONTENT)
        assert said(ground, "/app.8f9b6e2a.js") == IMMUTABLE
        assert ground.reports == []


@pytest.mark.parametrize("value", ["no-store", "public, max-age=60", 'private="set-cookie"'])
def test_a_value_holds_for_every_file_and_for_no_error(ground: Ground, value: str) -> None:
    with Ground(ground.root, cache_control=value) as decided:
        for target in ("/", "/plain.js", SCRIPT):
            assert said(decided, target) == value
            tag = decided.ask(target).fields["etag"]
            assert said(decided, target, {"If-None-Match": tag}) == value
        replace(decided.root / SCRIPT[1:], b"// another\n")
        assert said(decided, SCRIPT) == value
        assert decided.reports == []
        for target in ("/nothing", "/folder", "/../x"):
            assert said(decided, target) == "no-cache"


def test_none_says_nothing_anywhere(ground: Ground) -> None:
    (ground.root / "404.html").write_bytes(b"<p>no")
    with Ground(ground.root, cache_control="none") as silent:
        for target in ("/", "/plain.js", SCRIPT, "/nothing", "/folder", "/../x"):
            assert said(silent, target) is None
        assert said(silent, SCRIPT, {"Range": "bytes=100000-"}) is None
        assert said(silent, SCRIPT, {"If-Match": '"other"'}) is None


def edition_of(number: int) -> Edition:
    content = b"%d" % number
    version = Version(1, 1, len(content), 1, 1)
    inspected = Inspected(OURS.select(b"a.js"), b"identity")
    return Edition(version, version.modified_ns, inspected, represent(content))


def test_what_is_remembered_is_bounded() -> None:
    policy = CachePolicy()
    edition = edition_of(1)
    for number in range(40_000):
        policy.select_fields((b"%d" % number, b"app.8f9b6e2a.js"), edition)
    assert len(policy._seen) <= 2 * 16_384


def test_where_too_many_names_have_changed_none_is_trusted() -> None:
    reports: list[str] = []
    policy = CachePolicy(report=reports.append)
    fields = {
        policy.select_fields((b"%d" % number, b"app.8f9b6e2a.js"), edition_of(content))
        for content in (1, 2)
        for number in range(1024)
    }
    assert fields == {((b"Cache-Control", b"no-cache"),), ((b"Cache-Control", IMMUTABLE.encode()),)}
    assert len(reports) == 1024 + 1
    new = policy.select_fields((b"new", b"app.8f9b6e2a.js"), edition_of(1))
    assert new == ((b"Cache-Control", b"no-cache"),)
    assert len(reports) == 1024 + 1
    assert len(policy._changed) == 1024


def test_the_choice_by_name_alone() -> None:
    names = (b"assets", b"app-CQFGD2NG.js")
    assert select_cache_control(names, b"text/javascript; charset=utf-8") == IMMUTABLE.encode()
    assert select_cache_control(names, b"text/html; charset=utf-8") == b"no-cache"
    # A folder's name says nothing of what is in it.
    assert select_cache_control((b"app-CQFGD2NG.js", b"a.js"), b"text/javascript") == b"no-cache"
