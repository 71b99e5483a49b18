"""What code inside a confined process can do: anything at all that it tries is up to the kernel."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import needs_root
from epollo.errors import OperatorError
from epollo.linux import confinement
from epollo.linux.confinement import confine, count_threads, preload
from linux.confined import ABI, attempt

needs_landlock = pytest.mark.skipif(ABI == 0, reason="this kernel has no Landlock")

# Each works where nothing is given up.
REFUSED = {
    "read /etc/passwd": "open('/etc/passwd').read()",
    "read beside the root": "os.open('../outside/secret', os.O_RDONLY, dir_fd=root)",
    "read through the root of the process": "open('/proc/self/root/etc/passwd').read()",
    "read the environment": "open('/proc/self/environ').read()",
    "read through a link in the root": "open(ROOT + '/link').read()",
    "list a folder": "os.listdir('/etc')",
    "open a device": "os.open('/dev/null', os.O_WRONLY)",
    "read in a child": (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: open('/etc/passwd'); os._exit(0)\n"
        "    except PermissionError: os._exit(13)\n"
        "if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 13: raise PermissionError"
    ),
    "read in a thread": (
        "seen = []\n"
        "def read(seen=seen):\n"
        "    try: open('/etc/passwd').close()\n"
        "    except PermissionError as error: seen.append(error)\n"
        "thread = threading.Thread(target=read); thread.start(); thread.join()\n"
        "if seen: raise seen[0]"
    ),
    "run a program": "subprocess.run(['/bin/true'], check=True)",
    "run a program of the root": "subprocess.run([ROOT + '/program'], check=True)",
    "write to a file of the root": "open(ROOT + '/page.html', 'a').write('x')",
    "make a file in the root": "open(ROOT + '/new', 'x').close()",
    "make a folder in the root": "os.mkdir(ROOT + '/new-folder')",
    "make a link in the root": "os.symlink('/etc', ROOT + '/new-link')",
    "make a pipe in the root": "os.mkfifo(ROOT + '/new-pipe')",
    "make a socket in the root": "socket.socket(socket.AF_UNIX).bind(ROOT + '/new-socket')",
    "rename in the root": "os.rename(ROOT + '/gone', ROOT + '/gone-too')",
    "remove a file of the root": "os.unlink(ROOT + '/doomed')",
    "remove a folder of the root": "os.rmdir(ROOT + '/empty')",
    "write beside the root": "open(OUTSIDE + '/new', 'x').close()",
    "remove beside the root": "os.unlink(OUTSIDE + '/doomed')",
    "take it back": "confine([os.open(OUTSIDE, os.O_PATH)], 'on'); open(OUTSIDE + '/secret')",
}
REFUSED_SINCE = {
    "link to another folder": (2, "os.link(ROOT + '/page.html', ROOT + '/folder/page.html')"),
    "empty a file of the root": (3, "os.truncate(ROOT + '/large', 1)"),
    "empty a file beside the root": (3, "os.truncate(OUTSIDE + '/log', 0)"),
    "listen": (4, "with socket.socket() as one: one.bind(('127.0.0.1', 0))"),
    "connect": (4, "socket.create_connection(('127.0.0.1', PORT)).close()"),
    "signal the parent": (6, "os.kill(os.getppid(), 0)"),
}
GRANTED = {
    "read a file of the root": "assert open(ROOT + '/page.html').read().startswith('page')",
    "read below a folder of the root": "os.open('folder/deep', os.O_RDONLY, dir_fd=root)",
    "list the root": "assert 'page.html' in os.listdir(ROOT)",
    "look at what is above": "os.stat('/etc/passwd'), os.readlink('/proc/self/exe')",
    "name a folder above": "os.open(OUTSIDE, os.O_PATH | os.O_DIRECTORY)",
    "write to a log that is open": "log.write('line'); log.flush()",
    "random octets": "assert len(os.urandom(16)) == 16",
    "the local time": "time.localtime()",
    "a thread": "thread = threading.Thread(target=int); thread.start(); thread.join()",
    "a socket pair": "[one.close() for one in socket.socketpair()]",
    "signal itself": "os.kill(os.getpid(), 0)",
    "a name that would move the cursor": "'\\n'.encode('unicode_escape')",
}
# What only an administrator may try.
REFUSED_TO_ROOT = {
    "chroot": "os.chroot(OUTSIDE)",
    "make a device": "os.mknod(OUTSIDE + '/device', 0o20600, os.makedev(1, 3))",
    "give a file away": "os.chown(ROOT + '/page.html', 1, 1)",
    "become another user": "os.setuid(1)",
    "rename the machine": "socket.sethostname(socket.gethostname())",
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "folder").mkdir(parents=True)
    (root / "empty").mkdir()
    outside.mkdir()
    for path in (
        root / "page.html",
        root / "large",
        root / "gone",
        root / "doomed",
        root / "folder" / "deep",
        outside / "secret",
        outside / "doomed",
    ):
        path.write_text("page\n" * 10)
    (root / "link").symlink_to(outside / "secret")
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o755)
    return root, outside


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_every_attempt_works_unconfined(folders: tuple[Path, Path], port: int) -> None:
    attempts = {name: source for name, source in REFUSED.items() if name != "take it back"}
    attempts |= {name: source for name, (_, source) in REFUSED_SINCE.items()}
    outcomes = attempt(GRANTED | attempts, *folders, sandbox=None, port=port)
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "done"} == {}


@needs_landlock
def test_what_is_refused(folders: tuple[Path, Path], port: int) -> None:
    attempts = REFUSED | {
        name: source for name, (abi, source) in REFUSED_SINCE.items() if abi <= ABI
    }
    before = sorted(path.name for path in folders[0].rglob("*"))
    outcomes = attempt(attempts, *folders, port=port)
    assert "files: only reading below the root" in outcomes.pop("in force")
    # Linking out of a folder without the right to is "another device" to link(2).
    refusals = {"PermissionError", "OSError"}
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in refusals} == {}
    assert {name for name, outcome in outcomes.items() if outcome == "OSError"} <= {
        "link to another folder"
    }
    assert sorted(path.name for path in folders[0].rglob("*")) == before
    assert (folders[0] / "page.html").read_text() == "page\n" * 10


@needs_landlock
def test_what_is_granted(folders: tuple[Path, Path]) -> None:
    outcomes = attempt(GRANTED, *folders)
    outcomes.pop("in force")
    assert outcomes == dict.fromkeys(GRANTED, "done")
    assert (folders[1] / "log").read_text() == "line"


@needs_landlock
def test_exit_while_threads_are_busy(folders: tuple[Path, Path]) -> None:
    """What is left of them is ended by pthread_exit(3), which wants a library; else it aborts."""
    source = (
        "begun = threading.Barrier(4)\n"
        "def work(begun=begun):\n"
        "    begun.wait()\n"
        "    while True: sum(range(1000))\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "begun.wait()"
    )
    assert attempt({"threads": source}, *folders)["threads"] == "done"


@needs_landlock
@needs_root
def test_what_is_refused_to_root(folders: tuple[Path, Path]) -> None:
    outcomes = attempt(REFUSED_TO_ROOT, *folders)
    outcomes.pop("in force")
    assert outcomes == dict.fromkeys(REFUSED_TO_ROOT, "PermissionError")


@needs_landlock
@needs_root
def test_root_still_reads_what_belongs_to_others(folders: tuple[Path, Path]) -> None:
    page = folders[0] / "page.html"
    os.chown(page, 65534, 65534)
    page.chmod(0o600)
    outcomes = attempt({"read": "open(ROOT + '/page.html').read()"}, *folders)
    assert outcomes["read"] == "done"


@needs_landlock
def test_auto_takes_what_there_is(folders: tuple[Path, Path]) -> None:
    outcomes = attempt({"read": REFUSED["read /etc/passwd"]}, *folders, sandbox="auto")
    assert outcomes["read"] == "PermissionError"
    assert outcomes["in force"].endswith(f"(Landlock ABI {ABI}); no new privileges")


def test_off_gives_nothing_up(folders: tuple[Path, Path]) -> None:
    outcomes = attempt({"read": REFUSED["read /etc/passwd"]}, *folders, sandbox="off")
    assert outcomes == {"in force": "off", "read": "done"}


WITHOUT_LANDLOCK = """
import epollo.linux.confinement as confinement
def find_abi(): raise OSError(38, "Function not implemented")
confinement.find_abi = find_abi
try: outcome = confine([root], {sandbox!r})
except Exception as error: outcome = str(error)
"""


@pytest.mark.parametrize(
    ("sandbox", "line"),
    [
        ("auto", "no new privileges, but no Landlock here: Function not implemented"),
        (
            "on",
            "--sandbox on: this kernel has no usable Landlock: Function not implemented",
        ),
    ],
)
def test_a_kernel_without_landlock(folders: tuple[Path, Path], sandbox: str, line: str) -> None:
    outcomes = attempt(
        {
            "confine": WITHOUT_LANDLOCK.format(sandbox=sandbox),
            "status": "outcome = open('/proc/self/status').read().split('NoNewPrivs:')[1][:2]",
        },
        *folders,
        sandbox=None,
    )
    assert outcomes == {"confine": line, "status": "\t1"}


def test_a_thread_that_would_stay_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "count_threads", lambda: 2)
    root = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(OperatorError, match="would stay outside the sandbox"):
            confine([root], "auto")
    finally:
        os.close(root)


def test_threads_are_counted(folders: tuple[Path, Path]) -> None:
    source = (
        "from epollo.linux.confinement import count_threads\n"
        "alone = count_threads()\n"
        "stop = threading.Event(); thread = threading.Thread(target=stop.wait); thread.start()\n"
        "outcome = f'{alone} {count_threads()}'; stop.set(); thread.join()"
    )
    assert attempt({"count": source}, *folders, sandbox=None) == {"count": "1 2"}
    assert count_threads() >= 1


@pytest.mark.parametrize("sandbox", ["auto", "on", "off"])
def test_a_root_that_is_no_descriptor_is_a_bug(sandbox: str) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        confine([-1], sandbox)


def test_preloading_twice_is_harmless() -> None:
    preload()
    preload()
    assert "\n".encode("unicode_escape") == b"\\n"


def test_a_fault_in_the_sandbox_is_shown_though_no_module_can_be_read(tmp_path: Path) -> None:
    script = f"""
import os, sys, warnings
from epollo.linux.confinement import confine, filter_calls
confine([os.open({str(tmp_path)!r}, os.O_PATH)], "auto")
filter_calls("auto")
warnings.warn("a warning")
def fail(): raise ValueError("a fault")
fail()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "UserWarning: a warning" in done.stderr
    assert done.stderr.endswith("ValueError: a fault\n")
    assert "in fail" in done.stderr


@needs_root
def test_user_in_a_root_that_it_cannot_read(folders: tuple[Path, Path]) -> None:
    folders[0].chmod(0o700)
    source = (
        "try: confine([root], 'auto', 'nobody')\nexcept Exception as error: outcome = str(error)"
    )
    outcomes = attempt({"confine": source}, *folders, sandbox=None)
    assert outcomes == {
        "confine": "user nobody cannot read the folder to be served: Permission denied"
    }


@needs_root
def test_user_and_sandbox(folders: tuple[Path, Path]) -> None:
    outcomes = attempt(
        {
            "who": "outcome = str((os.getresuid(), os.getresgid(), os.getgroups()))",
            "back": "os.setuid(0)",
            "back to the group": "os.setgid(0)",
            "read": "os.open('page.html', os.O_RDONLY, dir_fd=root)",
        },
        *folders,
        sandbox="auto",
        user="4711:4712",
    )
    assert outcomes.pop("in force").startswith("user 4711:4712; ")
    assert outcomes == {
        "who": "((4711, 4711, 4711), (4712, 4712, 4712), [4712])",
        "back": "PermissionError",
        "back to the group": "PermissionError",
        "read": "done",
    }
