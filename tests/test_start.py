"""What a start loads: nothing that only another kind of server needs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Each takes a hundredth of a start, or more.
_LARGE = frozenset((
    "asyncio", "cryptography", "dataclasses", "datetime", "difflib", "encodings.idna",
    "hashlib", "html.entities", "inspect", "ipaddress", "lzma", "pathlib", "shutil", "ssl",
    "tempfile", "tokenize", "tomllib", "traceback", "urllib.parse", "uuid",
    *(() if sys.version_info >= (3, 14) else ("typing",)),
))  # fmt: skip
_OF_SOME_OPTION = frozenset((
    "epollo.acme", "epollo.access_log.formats", "epollo.connections.handshakes",
    "epollo.connections.networks", "epollo.connections.preamble", "epollo.diagnosis",
    "epollo.lab", "epollo.protocols.proxy_protocol",
    "epollo.settings_file", "epollo.site.access.guard", "epollo.site.access.hashes",
    "epollo.site.hosts", "epollo.transports.bind_errors",
    "epollo.transports.state_folder", "epollo.worker.secure",
))  # fmt: skip
_OF_THE_COMMAND = frozenset(("epollo.cli", "epollo.command_line", "epollo.given", "epollo.checks"))
_OF_A_SANDBOX = frozenset(("epollo.linux.confinement", "epollo.linux.landlock"))
_OF_A_SERVER = frozenset((
    "brotli", "ctypes", "mmap", "epollo.connections", "epollo.protocols.http1",
    "epollo.site.catalogue", "epollo.site.respond", "epollo.worker.process",
))  # fmt: skip
_AT_THE_END = """
import os, runpy, sys
from epollo.loop import EventLoop
def end(*_):
    print("loaded", *sys.modules, flush=True)
    os._exit(0)
EventLoop.run = EventLoop.run_batch = end
sys.argv[1:] = ["--port", "0", "--quiet", *{}]
runpy.run_module("epollo", run_name="__main__")
"""
_IMPORTED = "import sys; import {}; print('loaded', *sys.modules)"


def test_main_begins_before_anything_is_loaded() -> None:
    """From its first line on, Ctrl-C ends a start silently; before, with Python's traceback."""
    script = (
        "import sys; before = set(sys.modules); import epollo.__main__; "
        "print(*set(sys.modules) - before - set(sys.builtin_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert set(done.stdout.decode().split()) == {"epollo", "epollo.__main__"}


@pytest.mark.parametrize(
    ("script", "present", "absent"),
    [
        (
            _AT_THE_END.format([]),
            "epollo.worker.process",
            {"click", "subprocess", "epollo.supervisor.supervisor"} | _OF_A_SANDBOX,
        ),
        (
            _AT_THE_END.format(["--workers", "1"]),
            "epollo.supervisor.supervisor",
            {"click"} | _OF_A_SERVER | _OF_A_SANDBOX,
        ),
        (
            _IMPORTED.format("epollo.worker.program"),
            "epollo.worker.process",
            {"click", "subprocess", "epollo.supervisor"} | _OF_THE_COMMAND,
        ),
        (
            _IMPORTED.format("epollo.coder.process"),
            "epollo.site.codings",
            {"click", "json", "epollo.settings", "epollo.connections"} | _OF_THE_COMMAND,
        ),
    ],
    ids=["alone", "parent", "worker", "coder"],
)
def test_a_start_loads_what_it_needs(script: str, present: str, absent: set[str]) -> None:
    """Of a plain server; the one that is alone serves all that a request asks for from what is there."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    loaded = set(done.stdout.partition("loaded ")[2].split())
    assert present in loaded
    assert loaded & (_LARGE | _OF_SOME_OPTION | absent) == set()


_RUN = """
import gc, os, runpy, sys
from epollo.loop import EventLoop
def end(*_):
    print("end", gc.isenabled(), gc.get_freeze_count() > 10_000, flush=True)
    os._exit(0)
EventLoop.run = EventLoop.run_batch = end
sys.argv[1:] = ["--port", "0", *{}]
runpy.run_module("epollo", run_name="__main__")
"""


@pytest.mark.parametrize("words", [(), ("--workers", "1")])
def test_what_a_start_loads_is_left_alone_by_the_collector(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "end True True"


_COUNT = """
import re._compiler
compile_now, patterns = re._compiler.compile, []
def note(pattern, flags):
    patterns.append(pattern)
    return compile_now(pattern, flags)
re._compiler.compile = note
import epollo.worker.program
print(len(patterns))
"""


def test_a_start_compiles_the_patterns_of_every_request_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True
    )
    assert 5 < int(done.stdout) < 40


@pytest.mark.parametrize(("options", "is_loaded"), [((), False), (("-W", "error"), True)])
def test_what_shows_where_a_leak_was_made_is_loaded_for_testers(
    options: tuple[str, ...], is_loaded: bool
) -> None:
    script = (
        "import sys; from epollo.linux.confinement import preload; preload(); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert ("tracemalloc" in loaded, "traceback" in loaded) == (is_loaded, is_loaded)


@pytest.mark.parametrize(
    ("program", "part", "line"),
    [
        ("epollo", "epollo.cli", "epollo: cannot start: "),
        ("epollo.worker", "epollo.worker.process", "epollo: a worker cannot start: "),
    ],
)
def test_a_part_that_cannot_be_loaded_is_one_line(program: str, part: str, line: str) -> None:
    script = (
        f"import runpy, sys; sys.modules[{part!r}] = None;"
        f"runpy.run_module({program!r}, run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode in {1, 2}
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("way", [("--sandbox", "on"), ("--workers", "1")])
@pytest.mark.parametrize(
    "options",
    [
        ("--cors", "any"),
        ("--isolate",),
        ("--allowed-hosts", "a"),
        ("--access-log", "log"),
        ("--config", "sites.toml"),
    ],
)
def test_what_an_option_needs_is_loaded_before_the_sandbox_closes(
    tmp_path: Path, way: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """In a process of its own: a copy of one that has loaded all would not tell."""
    (tmp_path / "site").mkdir()
    (tmp_path / "sites.toml").write_text("[[site]]\nhosts = ['a.test']\ndirectory = 'site'\n")
    words = [] if "--config" in options else ["site"]
    with subprocess.Popen(
        [sys.executable, "-m", "epollo", *words, "--port", "0", *way, *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        said: list[str] = []
        for line in lines:
            said.append(line)
            if "Ctrl-C" in line:
                break
        process.terminate()
    assert "Ctrl-C" in said[-1], said


def test_a_part_that_only_these_words_need_and_that_is_not_there_is_one_line() -> None:
    script = (
        "import runpy, sys; sys.modules['click'] = None; sys.argv = ['epollo', '--help'];"
        "runpy.run_module('epollo', run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("epollo: cannot start: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("program", ["worker", "coder"])
@pytest.mark.parametrize("value", ["", "9", "x"])
def test_a_part_of_epollo_that_is_started_by_hand_says_so(program: str, value: str) -> None:
    environment = {**os.environ, "EPOLLO_WORKER": value} if value else None
    result = subprocess.run(
        [sys.executable, "-m", f"epollo.{program}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"epollo: a {program} is started by .*not by hand\n", result.stderr)
