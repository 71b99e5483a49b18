"""``epollo lab`` as a person runs it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import copies
import epollo
from chromium import Chromium
from conftest import POLLER_NAMES, require_descriptors
from epollo.errors import OperatorError
from epollo.lab.command import check_targets
from epollo.lab.reading import parse_json
from epollo.lab.results import format_json
from epollo.linux.activity import read_activity
from lab.made_up import make_results

COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "epollo", "lab"]


def run(*arguments: str, timeout_seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    return copies.run([*COMMAND, *arguments], timeout_seconds=timeout_seconds)


@pytest.mark.alone
def test_quick_takes_less_than_a_minute_and_shows_the_claim(tmp_path: Path) -> None:
    require_descriptors(1000)
    begun = time.monotonic()
    done = run("--quick", "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html"))
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 60
    results = parse_json((tmp_path / "r.json").read_text())
    most = results.idle[-1]
    cost = {}
    for poller in POLLER_NAMES:
        assert poller in done.stdout
        cell = results.cell(poller, most)
        assert cell is not None
        assert cell.tally is not None
        cost[poller] = cell.rounds[0].cpu_per_request
    # Far apart, so that a machine with other work on it says the same.
    assert cost["busy"] > 3 * cost["poll"] > 3 * cost["epoll"]
    busy, epoll = results.cell("busy", most), results.cell("epoll", most)
    assert busy is not None
    assert epoll is not None
    assert busy.rounds[0].waiting_share > 0.1
    assert epoll.rounds[0].waiting_share < 0.02
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_selects_wall_is_shown_as_what_it_is(tmp_path: Path) -> None:
    require_descriptors(2500)
    done = run(
        *("--pollers", "select", "--idle", "0,1200", "--rounds", "1", "--seconds", "0.1"),
        *("--json", str(tmp_path / "r.json")),
    )
    assert done.returncode == 0, done.stderr
    assert "FD_SETSIZE is 1024" in " ".join(done.stdout.split())
    (wall,) = json.loads((tmp_path / "r.json").read_text())["walls"]
    assert wall["idle"] == 1200
    assert 900 < wall["reached"] < 1024


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_interrupted_leaves_nothing_behind(number: int) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--pollers", "busy", "--idle", "10", "--seconds", "60", "--rounds", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "measuring for about" in process.stderr.readline()
    started = _await_children(process.pid, 2)
    held = [os.pidfd_open(child) for child in started]
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Warning" not in stderr
    for descriptor in held:
        # A pidfd is readable when its process has ended (pidfd_open(2)).
        assert select.select([descriptor], [], [], 10)[0]
        os.close(descriptor)


def _await_children(process: int, number: int) -> list[int]:
    """Wait until a process has ``number`` children that run programs of their own; return them.

    Python knows of a child a moment after there is one: those that have used some processor time are past
    that.
    """
    end = time.monotonic() + 20
    while time.monotonic() < end:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
        children = list(map(int, text.split()))
        if len(children) >= number and all(
            read_activity(child).processor_seconds > 0.03 for child in children
        ):
            return children
    raise AssertionError("they do not start")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--idle", "many"),
        ("--idle", "-5"),
        ("--pollers", "kqueue"),
        ("--pollers", ""),
        ("--pollers", "busy,"),
        ("--idle", ""),
        ("--idle", "2000000"),
        ("--idle", "9" * 5000),
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--seconds", "inf"),
        ("--json", "r.json", "watch"),
        ("--quick", "watch"),
        ("--json", "/nowhere/r.json"),
        ("--html", "/nowhere/r.html"),
        ("--html", "/"),
        ("--svg", "/proc/drawings"),
        ("--png", "/dev/null"),
        ("--rounds", "0"),
        ("--from", "/nowhere/results.json"),
        ("--no-such-option",),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("epollo: ")


@pytest.mark.parametrize(
    "asked", [("--quick",), ("--pollers", "busy"), ("--idle", "5"), ("--rounds", "1")]
)
def test_what_asks_to_measure_does_not_go_with_what_was(
    asked: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "r.json").write_text(format_json(make_results()))
    done = run("--from", str(tmp_path / "r.json"), *asked)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert asked[0] in done.stderr


def test_pictures_that_cannot_be_drawn_are_noticed_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [*COMMAND, "--png", str(tmp_path / "png")],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "epollo: --png needs Chromium; --svg does not\n"


def test_trying_a_target_leaves_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("as it was")
    check_targets([tmp_path / "there", tmp_path / "not yet"], [tmp_path, None])
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "as it was"
    with pytest.raises(OperatorError, match="cannot write"):
        check_targets([tmp_path / "no" / "such"], [])


@pytest.mark.parametrize("module", [("epollo", "lab"), ("epollo.lab",)])
@pytest.mark.parametrize("asked", ["--help", "--from"])
def test_a_full_disk_is_one_line(module: tuple[str, ...], asked: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(format_json(make_results()))
    words = (asked,) if asked == "--help" else (asked, str(tmp_path / "r.json"))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", *module, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "epollo: nothing more is printed on stdout: No space left on device\n"


def test_the_table_fits_a_terminal_of_eighty_columns(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(format_json(make_results()))
    done = subprocess.run(
        [*COMMAND, "--from", str(tmp_path / "r.json")],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    done = run("--from", str(tmp_path / "bad.json"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    (tmp_path / "good.json").write_text(format_json(make_results()))
    done = run("--from", str(tmp_path / "good.json"), "--html", str(tmp_path / "no" / "r.html"))
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_a_report_is_drawn_again_from_its_json(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(format_json(make_results()))
    done = run("--from", str(tmp_path / "r.json"), "--svg", str(tmp_path / "drawings"))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "drawings").iterdir()}
    assert {"lab-cost-en.svg", "lab-cost-zh.svg", "lab-copied-epoll-en.svg"} <= names


def test_the_page_in_a_browser(browser: Chromium, tmp_path: Path) -> None:
    # With every column that there is.
    text = format_json(make_results())
    text = text.replace('"octets_per_connection": null', '"octets_per_connection": 1234.5')
    (tmp_path / "r.json").write_text(text)
    page_path = tmp_path / "r.html"
    done = run("--from", str(tmp_path / "r.json"), "--html", str(page_path))
    assert done.returncode == 0, done.stderr
    asked = {
        "title": "document.title",
        "charts": "[...document.querySelectorAll('svg')].filter(s => s.checkVisibility()).length",
        "language": "(document.getElementById('language').click(), document.title)",
        "lang": "document.documentElement.lang",
        "charts after": (
            "[...document.querySelectorAll('svg')].filter(s => s.checkVisibility()).length"
        ),
        "light": "getComputedStyle(document.body).backgroundColor",
        "dark": (
            "(document.getElementById('theme').click(), "
            "getComputedStyle(document.body).backgroundColor)"
        ),
        "wide": "document.documentElement.scrollWidth <= innerWidth",
        "table": (
            "(document.body.style.width = '1265px', [...document.querySelectorAll('.wide')]"
            ".every(one => one.scrollWidth <= one.clientWidth))"
        ),
    }
    page = browser.load(page_path.as_uri(), questions=asked)
    answers = page.answers
    assert page.faults == []
    assert answers["title"] == "Are you hungry? Four ways to find out"
    assert answers["charts"] == answers["charts after"] == 8
    assert answers["language"] == "饿了吗？四种问法"
    assert answers["lang"] == "zh"
    assert answers["light"] != answers["dark"]
    assert answers["wide"] is True
    assert answers["table"] is True


def test_a_folder_called_lab_is_served(tmp_path: Path) -> None:
    def ask_version(module: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", module, *words, "--version"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(epollo.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )

    assert ask_version("epollo", "lab").returncode == 2
    (tmp_path / "lab").mkdir()
    assert ask_version("epollo", "lab").stdout.startswith("epollo ")
    for word in ("--quick", "watch"):
        mistake = ask_version("epollo", "lab", word, "--no-such").stderr
        assert "python -m epollo.lab" in mistake
        assert len(mistake.splitlines()) == 1
    assert "epollo lab --help" in ask_version("epollo.lab").stderr
