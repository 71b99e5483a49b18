"""Paths, names and links: what is served, what is not, and that nothing is left open."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.http.target import encode_path
from site_grounds import Ground, count_descriptors

SECRET = b"what nobody may see"


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    """A folder in which another user may look."""
    return open_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "index.html").write_text("index")
    (root / "page.txt").write_text("page")
    (root / "folder" / "index.html").write_text("folder")
    (root / "folder" / "deep" / "page.txt").write_text("deep")
    outside = tmp_path / "root-evil"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    return root


@pytest.fixture
def ground(root: Path) -> Iterator[Ground]:
    """A site, which in the end has no more descriptors open than before."""
    before = count_descriptors()
    with Ground(root) as ground:
        yield ground
    assert count_descriptors() == before


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/", b"index"),
        ("/index.html", b"index"),
        ("/folder/", b"folder"),
        ("/folder/.", b"folder"),
        ("/folder/deep/..", b"folder"),
        ("/folder//deep///page.txt", b"deep"),
        ("/folder/../page.txt", b"page"),
        ("/folder/%2e%2E/page.txt", b"page"),
        ("/./%2e/page.txt", b"page"),
        ("/nowhere/../page.txt", b"page"),
        ("/p%61ge.txt?query", b"page"),
        ("http://host/page.txt", b"page"),
        ("http://host", b"index"),
    ],
)
def test_paths_to_content(ground: Ground, target: str, content: bytes) -> None:
    assert ground.get(target) == content


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/..", 400),
        ("/../secret.txt", 400),
        ("/%2e%2e/secret.txt", 400),
        ("/folder/../../secret.txt", 400),
        ("/folder%2fdeep/page.txt", 400),
        ("/page.txt%00", 400),
        ("/%zz", 400),
        ("/%2", 400),
        ("/%252e%252e/secret.txt", 404),
        ("/..%5csecret.txt", 404),
        ("/page.txt/", 404),
        ("/page.txt/index.html", 404),
        ("/PAGE.TXT", 404),
        ("/page.txt.", 404),
        ("/nothing", 404),
        ("/folder/deep/", 404),
        ("/folder", 301),
    ],
)
def test_paths_to_something_else(ground: Ground, target: str, status: int) -> None:
    answer = ground.ask(target)
    assert answer.status == status
    assert SECRET not in answer.content


@pytest.mark.parametrize(
    ("link", "to", "target"),
    [
        ("link", "page.txt", "/link"),
        ("link", "./folder/../page.txt", "/link"),
        ("folder/link", "../page.txt", "/folder/link"),
        ("folder/deep/link", "../../folder/../page.txt", "/folder/deep/link"),
        ("link", "folder//deep/../../page.txt", "/link"),
        ("link", "ROOT/page.txt", "/link"),
        ("folder/link", "ROOT/folder/../page.txt", "/folder/link"),
        ("link", "ROOT", "/link/page.txt"),
        ("link", "ROOT/", "/link/page.txt"),
        ("link", ".", "/link/link/link/page.txt"),
        ("folder/up", "..", "/folder/up/page.txt"),
    ],
)
def test_links_that_stay_inside(
    ground: Ground, root: Path, link: str, to: str, target: str
) -> None:
    (root / link).symlink_to(to.replace("ROOT", str(root)))
    assert ground.get(target) == b"page"


@pytest.mark.parametrize(
    ("link", "to", "target"),
    [
        ("link", "../secret.txt", "/link"),
        ("link", "../root-evil/secret.txt", "/link"),
        ("link", "ROOT-evil/secret.txt", "/link"),
        ("link", "ROOT/../secret.txt", "/link"),
        ("link", "ROOT-evil", "/link/secret.txt"),
        ("link", "..", "/link/secret.txt"),
        ("link", "folder/../../secret.txt", "/link"),
        ("folder/link", "../..", "/folder/link/secret.txt"),
        ("link", "/etc/passwd", "/link"),
        ("link", "/", "/link/etc/passwd"),
        ("link", "/proc/self/root", "/link/etc/passwd"),
        ("link", "../root/page.txt", "/link"),
        ("link", "link", "/link"),
        ("link", "link/link", "/link"),
        ("link", "nothing", "/link"),
        ("link", "page.txt/.", "/link"),
        ("link", "page.txt/..", "/link"),
    ],
)
def test_links_that_lead_nowhere_or_out(
    ground: Ground, root: Path, link: str, to: str, target: str
) -> None:
    (root / link).symlink_to(to.replace("ROOT", str(root)))
    answer = ground.ask(target)
    assert answer.status == 404
    assert SECRET not in answer.content


def test_chains_of_links_end_like_the_kernels(ground: Ground, root: Path) -> None:
    (root / "0").symlink_to("page.txt")
    for number in range(1, 45):
        (root / str(number)).symlink_to(str(number - 1))
    assert ground.get("/39") == b"page"
    assert (root / "39").read_bytes() == b"page"
    assert ground.status("/40") == 404
    with pytest.raises(OSError, match="Too many levels"):
        (root / "40").read_bytes()
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    assert ground.status("/a") == 404
    assert ground.status("/a/b") == 404


def test_link_switched_to_the_outside_is_not_followed(ground: Ground, root: Path) -> None:
    link = root / "link"
    link.symlink_to("page.txt")
    assert ground.get("/link") == b"page"
    link.unlink()
    link.symlink_to("../secret.txt")
    assert ground.status("/link") == 404


def test_root_that_is_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("root")
    (root / "link").symlink_to(root / "page.txt")
    with Ground(tmp_path / "current") as ground:
        assert ground.get("/page.txt") == b"page"
        assert ground.get("/link") == b"page"


def test_dotfiles_are_not_there(ground: Ground, root: Path) -> None:
    for name in (".env", ".git/config", "folder/.htaccess", ".well-known/.secret", "...", ".a/b"):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(SECRET)
        assert ground.status("/" + name) == 404
        assert ground.status("/%2e" + name[1:]) in {400, 404}
    (root / "folder" / ".well-known").mkdir()
    (root / "folder" / ".well-known" / "a").write_bytes(SECRET)
    assert ground.status("/folder/.well-known/a") == 404


@pytest.mark.parametrize(
    ("link", "target", "asked"),
    [
        ("link", ".env", "/link"),
        ("link", "./.env", "/link"),
        ("link", "folder/../.env", "/link"),
        ("folder/link", "../.env", "/folder/link"),
        ("link", "second", "/link"),
        ("link", ".git", "/link/config"),
        ("link", ".git", "/link/"),
        ("link", ".git", "/link"),
        ("link", ".git/sub", "/link/page.html"),
        ("link", ".git/config", "/link"),
        ("link", ".git/../page.txt", "/link"),
        ("link", ".way/page.txt", "/link"),
        ("link", "..secret", "/link"),
        ("link", "folder/.well-known/a", "/link"),
        (".well-known", ".git", "/.well-known/config"),
        (".well-known/link", "../.env", "/.well-known/link"),
        (".well-known/link", ".secret", "/.well-known/link"),
        ("index.html", ".git/config", "/"),
    ],
)
def test_a_link_to_a_dotfile_is_a_dotfile(
    ground: Ground, root: Path, link: str, target: str, asked: str
) -> None:
    hidden = (".env", "..secret", ".git/config", ".git/index.html", ".git/sub/page.html")
    for name in (*hidden, "folder/.well-known/a"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET)
    (root / "second").symlink_to(".env")
    (root / ".way").symlink_to("folder")
    (root / "folder" / "page.txt").write_bytes(SECRET)
    path = root / link
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    for way in (target, root / target) if not link.count("/") else (target,):
        path.symlink_to(way)
        assert ground.status(asked) == 404
        path.unlink()
        assert ground.status(asked) in {404, 403}
    # It is seen when the link leads to what may be asked for.
    if asked == f"/{link}":
        (path.parent / "visible.txt").write_bytes(b"visible")
        path.symlink_to("visible.txt")
        assert ground.get(asked) == b"visible"


def test_a_link_to_what_is_well_known_is_followed(ground: Ground, root: Path) -> None:
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_text("contact")
    (root / "security.txt").symlink_to(".well-known/security.txt")
    (root / "known").symlink_to(".well-known")
    assert ground.get("/security.txt") == b"contact"
    assert ground.get("/known/security.txt") == b"contact"


def test_a_sidecar_that_is_a_dotfile_is_not_used(ground: Ground, root: Path) -> None:
    (root / ".cache").mkdir()
    (root / "page.txt.gz").symlink_to(".cache/page.txt.gz")
    (root / ".cache" / "page.txt.gz").write_bytes(SECRET)
    assert ground.status("/page.txt.gz") == 404


def test_well_known_is_there(ground: Ground, root: Path) -> None:
    path = root / ".well-known" / "acme-challenge" / "token"
    path.parent.mkdir(parents=True)
    path.write_text("challenge")
    assert ground.get("/.well-known/acme-challenge/token") == b"challenge"
    assert ground.get("/%2Ewell-known/acme-challenge/token") == b"challenge"


def test_volume_of_a_cluster(ground: Ground, root: Path) -> None:
    # A mounted ConfigMap: page -> ..data/page, ..data -> ..<time>, which is switched.
    volume = root / "volume"
    for name, content in (("..1", "one"), ("..2", "two")):
        (volume / name).mkdir(parents=True)
        (volume / name / "page.html").write_text(content)
    (volume / "..data").symlink_to("..1")
    (volume / "page.html").symlink_to("..data/page.html")
    assert ground.get("/volume/page.html") == b"one"
    (volume / "..new").symlink_to("..2")
    (volume / "..new").replace(volume / "..data")
    assert ground.get("/volume/page.html") == b"two"
    assert ground.status("/volume/..data/page.html") == 404


def test_what_is_no_file_is_not_there(ground: Ground, root: Path) -> None:
    os.mkfifo(root / "fifo")
    os.mknod(root / "null", 0o666 | 0o020000, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    (root / "link").symlink_to("fifo")
    for target in ("/fifo", "/null", "/socket", "/link", "/fifo/", "/fifo/a"):
        assert ground.status(target) == 404


@pytest.mark.parametrize(
    "name",
    [
        b"with space.txt",
        b"100%.txt",
        b"%2e%2e",
        b"a+b&c=d;e.txt",
        "größe 大小.txt".encode(),
        "e\u0301.txt".encode(),
        b"\xff\xfe.txt",
        b"new\nline.txt",
        b"\r\nSet-Cookie: a",
        b"question?.txt",
        b"hash#.txt",
        b"back\\slash.txt",
        b"quote'\"<b>.txt",
        b"\x7f\x01",
        b"~tilde",
        b"-",
        b"x" * 255,
    ],
)
def test_names_of_all_kinds(ground: Ground, root: Path, name: bytes) -> None:
    path = root / os.fsdecode(name)
    path.write_bytes(b"content")
    assert ground.get(encode_path((name,))) == b"content"
    path.unlink()
    assert ground.status(encode_path((name,))) == 404
    path.mkdir()
    (path / "index.html").write_bytes(b"index")
    answer = ground.ask(encode_path((name,)))
    assert answer.status == 301
    assert ground.get(answer.fields["location"]) == b"index"


def test_names_and_paths_too_long(ground: Ground, root: Path) -> None:
    for target in ("/" + "x" * 256, "/" + "x" * 8000, "/folder/" + "%C3%A9" * 200, "/a" * 4000):
        assert ground.status(target) == 404


def test_path_longer_than_the_kernel_takes(ground: Ground, root: Path) -> None:
    # PATH_MAX is 4,096 octets; a walk by names knows no such limit.
    names = ["x" * 200] * 30
    folder = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=folder)
        below = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    descriptor = os.open("page.txt", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
    os.write(descriptor, b"content")
    target = "/" + "/".join(names) + "/page.txt"
    assert ground.get(target) == b"content"
    ground.clock.turn()
    assert ground.get(target) == b"content"
    os.pwrite(descriptor, b"CONTENT", 0)
    assert ground.get(target) == b"CONTENT"
    os.close(descriptor)
    os.close(folder)


def test_files_change_into_others_while_nothing_is_left_open(ground: Ground, root: Path) -> None:
    # The folders are kept open.
    ground.get("/page.txt")
    ground.get("/folder/deep/page.txt")
    ground.status("/folder/x")
    before = count_descriptors()
    for target in ("/page.txt", "/folder", "/nothing", "/folder/deep/page.txt", "/folder/x/y"):
        for _ in range(20):
            ground.ask(target)
            ground.clock.turn()
    assert count_descriptors() == before


_AS_NOBODY = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from site_grounds import Ground
os.setgid(65534)
os.setuid(65534)
with Ground(Path(sys.argv[1])) as ground:
    print(*(ground.status(target) for target in ("/page.txt", "/shut.txt", "/shut/page.txt")))
    sys.stdout.flush()
    sys.stdin.readline()
    print(*(ground.status(target) for target in ("/page.txt", "/shut.txt", "/shut/page.txt")))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_what_may_not_be_read_is_forbidden(root: Path, tmp_path: Path) -> None:
    (root / "shut").mkdir()
    (root / "shut" / "page.txt").write_bytes(SECRET)
    (root / "shut.txt").write_bytes(SECRET)
    (root / "shut").chmod(0o700)
    (root / "shut.txt").chmod(0o600)
    with subprocess.Popen(
        [sys.executable, "-c", _AS_NOBODY, root, *filter(None, sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["200", "403", "403"]
        (root / "shut").chmod(0o755)
        (root / "shut.txt").chmod(0o644)
        (root / "page.txt").chmod(0o600)
        rest, _ = process.communicate("go on\n", timeout=20)
    assert process.returncode == 0
    assert rest.split() == ["403", "200", "200"]


@pytest.mark.parametrize("call", ["stat", "fstat", "open", "read"])
@pytest.mark.parametrize(
    "error", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EINTR, errno.EMFILE]
)
def test_a_disk_that_fails_does_not_say_that_nothing_is_there(
    root: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    """Nor is what stands behind a file shown in its place, and all is well when the disk is."""
    with monkeypatch.context() as patch:

        def fail(*_: object, **__: object) -> None:
            raise OSError(error, os.strerror(error))

        for name in {call, "pread"} if call == "read" else {call}:
            patch.setattr(os, name, fail)
        statuses = {
            ground.ask(target, drain=False).status for target in ("/page.txt", "/", "/folder/")
        }
    # A file in a folder that is open is found without a look at its name.
    assert statuses == {503} if call != "stat" else statuses <= {200, 503}
    assert ground.get("/page.txt") == b"page"
    assert ground.get("/") == b"index"
    assert ground.get("/folder/") == b"folder"
