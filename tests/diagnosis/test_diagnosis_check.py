"""``epollo check``: each thing that is wrong with a site is one line; a site without has none."""

import base64
import gzip
import hashlib
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import copies
from conftest import COMMAND
from epollo.diagnosis import rule_faults
from epollo.diagnosis.check import check_sites
from epollo.diagnosis.links import list_references
from epollo.diagnosis.subject import Subject
from epollo.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<a href='/about'>about</a>")
    (tmp_path / "about.html").write_text("<a href='./'>home</a>")
    return tmp_path


def check(root: Path, **settings: bool | str) -> list[str]:
    """Return what is found, without the name of the root."""
    with closing(Subject(Settings(root=root, **settings))) as subject:  # type: ignore[arg-type]
        return [line.replace(f"{root}/", "") for line in check_sites(subject)]


def test_a_site_without_a_fault(root: Path) -> None:
    (root / "style.css").write_text("p { background: url('picture.png') }")
    (root / "picture.png").write_bytes(b"png")
    (root / "index.html").write_text(
        "<base href='/'><link rel=stylesheet href=style.css><link rel=canonical href=http://a/>"
        "<img srcset='picture.png 1x, picture.png?v=2 2x'><a href='mailto:a@b'>a</a><a href='#x'>b</a>"
        "<a href='http://elsewhere.example/'>c</a><a href='about?a=b#c'>d</a><a href='old'>e</a>"
    )
    (root / "_headers").write_text("/*\n  X-A: b\n/*.png\n  X-B: c\n/old\n  X-C: d\n")
    (root / "_redirects").write_text("/old /about\n/x/* /about\n/y id=:id /about\n/y /\n")
    (root / "long.html").write_text("<p>long</p>" * 100)
    (root / "long.html.gz").write_bytes(gzip.compress((root / "long.html").read_bytes()))
    assert check(root) == []


@pytest.mark.parametrize(
    ("page", "line", "reason"),
    [
        ("<p>\n<a href='/nothing'>x</a>", 2, "/nothing is 404"),
        ("<script src='app.js'></script>", 1, "/app.js is 404"),
        ("<img srcset='a.png 1x, b.png 2x'>", 1, "/b.png is 404"),
        ("\n\n<a href='/About'>x</a>", 3, "/About is 404"),
        ("<a href='/About.html'>x</a>", 1, "it is there as /about.html"),
        ("<img src='http://elsewhere.example/a.png'>", 1, "plain http"),
        ("<a href='/loop'>x</a>", 1, "/loop is 404"),
    ],
)
def test_a_link_that_is_wrong(root: Path, page: str, line: int, reason: str) -> None:
    (root / "page.html").write_text(page)
    found = check(root)
    assert any(one.startswith(f"page.html:{line}: ") and reason in one for one in found), found


def test_a_style_sheet_that_is_wrong(root: Path) -> None:
    (root / "style.css").write_text("a {}\nb { background: url(nothing.png) }")
    assert check(root) == [
        "style.css:2: /nothing.png is 404: correct the link, or add the file or a redirect"
    ]


@pytest.mark.parametrize(
    ("rules", "line", "reason"),
    [
        ("/a /b/:splat", 1, "nothing captures"),
        ("/a/* /\n/a/b /about", 2, "line 1 matches all that it does"),
        ("/:x /about\n/a /about", 2, "line 1 matches all that it does"),
        ("/* /about 302\n/:x/* /", 2, "line 1 matches all that it does"),
        ("/a /about\n/a /", 2, "line 1 matches all that it does"),
        ("/about /", 1, "a file stands at /about"),
        ("/a /nothing", 1, "it leads to /nothing, which is not there"),
        ("/a /nothing 200", 1, "it leads to /nothing, which is not there"),
        ("/a/* /b/*", 1, "is :splat"),
    ],
)
def test_a_redirect_that_never_counts(root: Path, rules: str, line: int, reason: str) -> None:
    (root / "_redirects").write_text(rules)
    found = check(root)
    assert len(found) == 1, found
    assert found[0].startswith(f"_redirects:{line}: ")
    assert reason in found[0]


@pytest.mark.parametrize(
    "rules",
    [
        "/a/:x /\n/a/* /about",
        "/a x=1 /\n/a /about",
        "https://h.example/a /\n/a /about",
        "/a/b /\n/a/:x /about",
        "/*.png /\n/* /about 302",
        "/about / 302!",
        "/a/* /b/*/:splat",
        "/app/* 200",
    ],
)
def test_a_redirect_that_counts(root: Path, rules: str) -> None:
    (root / "_redirects").write_text(rules)
    assert check(root) == []


def test_a_block_about_nothing(root: Path) -> None:
    (root / "_headers").write_text("/nothing/*\n  X-A: b\n/about\n  X-A: b\n")
    (root / "about").write_text("about")
    assert check(root) == [
        "_headers:1: no file of the site is at such a path",
        "about: it hides about.html at /about; rename one of the two",
    ]


def test_blocks_are_not_compared_with_each_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of blocks times thousands of files would take minutes."""
    lines = "".join(f"/page{number}\n  X-A: b\n" for number in range(50))
    (root / "_headers").write_text(
        f"/about\n  X-A: b\n/*.html\n  X-B: c\n{lines}/old/*\n  X-C: d\n"
    )
    (root / "_redirects").write_text("/old/:name /about\n")
    (root / "page7.html").touch()
    monkeypatch.setattr(rule_faults, "match_pattern", None)
    found = [line for line in check(root) if "_headers" in line]
    assert len(found) == 49
    assert not any(line.startswith("_headers:19:") for line in found)


def test_a_block_about_a_page_by_its_clean_url(root: Path) -> None:
    (root / "_headers").write_text("/about\n  X-A: b\n/about.html\n  X-A: c\n/\n  X-B: d\n")
    assert check(root) == []
    (root / "index.html").write_text("")
    found = check(root, clean_urls=False)
    assert found == ["_headers:1: no file of the site is at such a path"]


def test_rules_in_another_folder(root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "_redirects").write_text("/a /b")
    (found,) = check(root)
    assert found.startswith("folder/_redirects: only the one in the root holds rules")


def test_a_file_beside_a_file_that_is_not_used(root: Path) -> None:
    (root / "long.html").write_text("<p>long</p>" * 100)
    (root / "long.html.gz").write_bytes(gzip.compress(b"another"))
    (root / "picture.png").write_bytes(b"png" * 100)
    (root / "picture.png.gz").write_bytes(gzip.compress(b"png" * 100))
    # A tool that codes all files, as MkDocs does its sitemap, makes no mistake with a short one.
    (root / "sitemap.xml").write_bytes(b"<urlset/>")
    (root / "sitemap.xml.gz").write_bytes(gzip.compress(b"<urlset/>"))
    found = check(root)
    assert len(found) == 2
    assert "long.html.gz" in found[0]
    assert found[1].startswith("picture.png.gz: it is not used")


def test_an_app_has_its_own_paths(root: Path) -> None:
    (root / "index.html").write_text("<a href='/route'>x</a><script src='/nothing.js'></script>")
    assert [line.partition(": ")[2] for line in check(root, spa=True)] == [
        "/nothing.js is 404: correct the link, or add the file or a redirect"
    ]


def test_references_of_a_page() -> None:
    text = (
        "<base href='/b/'><a href='x'><img srcset='y 1x, z 2x'><script>'<a href=\"no\">'</script>"
    )
    assert [one.url for one in list_references(text, "http://h/")] == [
        "http://h/b/x", "http://h/b/y", "http://h/b/z",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [
        # What a script fills in, what is a comment, what is text.
        "<template><a href='/${x}'>x</a><template></template><img src=no.png></template>",
        "<style>/* url(no.png) */ p::after { content: 'url(no.png)' } i { b: url(#x) }</style>",
        "<!-- <a href=no> --><script type='text/x'><a href='{{no}}'></script>",
        "<textarea><a href=no></textarea><title><img src=no></title>",
        "<a href='\\about\\..\\about'>x</a><a href='about?a=\\b'>y</a>",
        "<a href='\\\\other.example\\x'>z</a>",
        "<a href='javascript:no()'>x</a><a href=tel:1>x</a><img src='data:,x'><img src=''>",
        "<link rel=preconnect href=no><link rel=canonical href=no><svg><use href='#no'/></svg>",
        "<p style='background: url(data:image/png;base64,AA==)'><iframe src='about:blank'></iframe>",
    ],
)
def test_what_is_no_fault(root: Path, page: str) -> None:
    (root / "page.html").write_text(page)
    assert check(root) == []


@pytest.mark.parametrize(
    ("name", "text", "line", "path"),
    [
        ("page.html", "<template shadowrootmode=open><a href=no>x</a></template>", 1, "/no"),
        ("page.html", "<template></template></template><a href=no>x</a>", 1, "/no"),
        ("page.html", "\n<style>\np { background: URL(no.png) }</style>", 3, "/no.png"),
        ("page.html", "\n<p style=\"background: url('no.png')\">", 2, "/no.png"),
        ("PAGE.HTM", "<a href=no>x</a>", 1, "/no"),
        ("style.css", "/* a\n */ @import 'no.css';", 2, "/no.css"),
        ("style.css", '@import "no.css" screen;\n/* url(', 1, "/no.css"),
        ("page.html", "<link rel=apple-touch-icon href=no.png>", 1, "/no.png"),
    ],
)
def test_where_a_fault_is(root: Path, name: str, text: str, line: int, path: str) -> None:
    (root / name).write_text(text)
    (found,) = check(root)
    assert found.startswith(f"{name}:{line}: {path} is 404")


def test_the_command(root: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return copies.run([*COMMAND, "check", *words])

    found = run(str(root))
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "epollo: nothing found\n")
    (root / "_redirects").write_text("/a //b\n")
    found = run("-d", str(root))
    assert (found.returncode, found.stderr) == (1, "epollo: 1 finding\n")
    assert found.stdout.startswith(f"{root}/_redirects:1: ")
    found = run("/nowhere/at/all")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1


def test_each_site_is_examined(root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(f"<a href='/{name}'>x</a>")
    (tmp_path / "two" / "_redirects").write_text("/old /two")
    config = tmp_path / "sites.toml"
    config.write_text(
        f"[[site]]\nhosts = ['one.example']\ndirectory = '{tmp_path}/one'\n"
        f"[[site]]\nhosts = ['two.example']\ndirectory = '{tmp_path}/two'\n"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return copies.run([*COMMAND, *words])

    found = run("check", "--config", str(config))
    assert found.returncode == 1
    for place in ("one/index.html:1", "two/index.html:1", "two/_redirects:1"):
        assert f"{tmp_path}/{place}: " in found.stdout
    found = run("why", "http://two.example/old", "--config", str(config))
    assert found.returncode == 0
    assert f"site        {tmp_path}/two\n" in found.stdout
    assert "_redirects:1: /old /two" in found.stdout
    assert run("why", "http://three.example/", "--config", str(config)).returncode == 1


def hash_of(content: bytes, algorithm: str = "sha384") -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


@pytest.mark.parametrize(
    ("metadata", "is_right"),
    [
        (hash_of(b"app"), True),
        (hash_of(b"app").replace("+", "-").replace("/", "_").rstrip("="), True),
        (f"{hash_of(b'app')}?option {hash_of(b'other')}", True),
        (hash_of(b"other"), False),
        # The strongest counts, and what is not known says nothing.
        (f"{hash_of(b'app', 'sha256')} {hash_of(b'other', 'sha512')}", False),
        (f"{hash_of(b'other', 'sha256')} {hash_of(b'app', 'sha512')}", True),
        ("md5-AAAA", True),
        ("", True),
        ("sha256-A", False),
    ],
)
def test_hashes_of_a_page(root: Path, metadata: str, is_right: bool) -> None:
    (root / "app.js").write_bytes(b"app")
    (root / "index.html").write_text(f"\n<script src=app.js integrity='{metadata}'></script>")
    expected = "integrity has the hash of other content than /app.js has: browsers refuse it"
    assert check(root) == ([] if is_right else [f"index.html:2: {expected}"])


def test_a_hash_is_of_the_file_without_a_coding(root: Path) -> None:
    content = b"app = 1;" * 1000
    (root / "app.js").write_bytes(content)
    (root / "app.js.gz").write_bytes(gzip.compress(content))
    link = f"<link rel=preload href=app.js integrity={hash_of(content)}>"
    (root / "index.html").write_text(link)
    assert check(root) == []


def name_by_digest(folder: Path, algorithm: str, digits: int, *contents: bytes) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, content in enumerate(contents):
        digest = hashlib.new(algorithm, content).hexdigest()[:digits]
        paths.append(folder / f"{chr(97 + number)}.{digest}.png")
        paths[-1].write_bytes(content)
    return paths


@pytest.mark.parametrize(("algorithm", "digits"), [("md5", 12), ("sha256", 64), ("sha1", 20)])
def test_a_digest_of_other_content(root: Path, algorithm: str, digits: int) -> None:
    *_, last = name_by_digest(root / "static", algorithm, digits, b"1", b"2", b"3", b"4")
    assert check(root) == []
    last.write_bytes(b"another")
    expected = (
        f"static/{last.name}: its name carries the {algorithm} of other content, and browsers keep it "
        "for a year without asking; have the build name it anew"
    )
    assert check(root) == [expected]
    assert check(root, cache_control="no-cache") == []


def test_a_hash_of_sources_is_no_digest(root: Path) -> None:
    """What tools make of sources is of no content, also beside names that carry digests."""
    first, second, *_ = name_by_digest(root / "static", "md5", 12, b"1", b"2", b"3", b"4")
    first.write_bytes(b"another")
    second.write_bytes(b"another")
    (root / "static" / "e.0123456789ab.css").write_bytes(b"p {}")
    (root / "f.0123456789ab.png").write_bytes(b"png")
    assert check(root) == []


IMMUTABLE = "  Cache-Control: max-age=31536000, immutable\n"


@pytest.mark.parametrize(
    ("page", "target"),
    [
        ("<script src='/app.js'></script>", "/app.js"),
        ("<link rel=stylesheet href='a/main.min.css'>", "/a/main.min.css"),
        ("<a href='/about'>x</a>", "/about"),
        ("<a href='/a/'>x</a>", "/a/"),
    ],
)
def test_what_has_no_version_cannot_be_kept_for_ever(root: Path, page: str, target: str) -> None:
    fill_versions(root)
    (root / "index.html").write_text(f"\n{page}\n{page}")
    assert check(root) == []
    (root / "_headers").write_text(f"/*\n{IMMUTABLE}/\n  ! Cache-Control\n")
    (found,) = check(root)
    assert found.startswith(
        f"index.html:2: browsers keep {target} for a year without asking (immutable)"
    )


@pytest.mark.parametrize(
    "page",
    [
        "<script src='/app.js?v=3'></script>",
        "<script src='/index-BxYzAbCd.js'></script>",
        "<link rel=stylesheet href='/v1.2/main.css'>",
        "<script src='/immutable/app.js'></script>",
        "<a href='/v1.2/'>x</a>",
        "<img src='/nothing/at/all.png'>",
    ],
)
def test_what_may_have_a_version_can(root: Path, page: str) -> None:
    fill_versions(root)
    (root / "index.html").write_text(page)
    (root / "_headers").write_text(f"/*\n{IMMUTABLE}/\n  ! Cache-Control\n")
    assert [one for one in check(root) if "immutable" in one] == []


def fill_versions(root: Path) -> None:
    for name in ("app.js", "index-BxYzAbCd.js", "a/main.min.css", "a/index.html", "v1.2/main.css",
                 "v1.2/index.html", "immutable/app.js"):  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "about.html").write_text("about")


def test_one_file_with_two_versions(root: Path) -> None:
    (root / "app.js").write_bytes(b"")
    (root / "about.html").write_text("<script src='app.js?v=1'></script>")
    (root / "index.html").write_text("\n<script src='app.js?v=2'></script><img src='app.js?x=2'>")
    assert check(root) == []
    (root / "_headers").write_text(f"/app.js\n{IMMUTABLE}")
    expected = (
        "index.html:2: /app.js?v=2 is the file that about.html:1 calls v=1, and browsers keep it for a "
        "year without asking under both: one of the two is out of date"
    )
    assert check(root) == [expected]


def test_what_is_behind_a_password_is_no_fault(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("passwords") / "passwords"
    file.write_text("ann:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n")
    (root / "private").mkdir()
    (root / "private" / "index.html").write_text("")
    (root / "index.html").write_text("<a href='/private/'>x</a><a href='/nothing'>x</a>")
    (found,) = check(root, auth=str(file), auth_paths="/private")
    assert "/nothing is 404" in found


def test_a_link_past_a_password_is_found(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("passwords") / "passwords"
    file.write_text("ann:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n")
    (root / "private").mkdir()
    (root / "private" / "secret.txt").write_text("")
    (root / "public").mkdir()
    (root / "index.html").write_text("")
    for name, target in (
        ("public/folder", "../private"), ("file", "private/secret.txt"), ("around", "."),
        ("private/within", "secret.txt"), ("plain", "about.html"), ("broken", "private/nothing"),
        ("out", str(file)), ("public/.hidden", "../private"), ("far", "public/folder/secret.txt"),
    ):  # fmt: skip
        (root / name).symlink_to(target)
    found = check(root, auth=str(file), auth_paths="/private")
    assert [line.split(":")[0] for line in found] == ["around", "far", "file", "public/folder"]
    assert "leads to /private/secret.txt without a password" in found[1]
    assert check(root, auth=str(file), auth_paths="/") == []
    assert check(root) == []


def test_what_is_no_regular_file_is_not_read(root: Path) -> None:
    """A reader of a pipe without a writer waits for ever."""
    for name in ("page.html", "style.css", "about", "about.html.gz"):
        os.mkfifo(root / name)
    (root / "nowhere.html").symlink_to("nothing")
    assert check(root) == []
