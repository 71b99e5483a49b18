"""A share as its users have it: copied by what Debian has for that, and looked at in a browser."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from chromium import Chromium
from conftest import Serve, Server

NAMES = (
    "a & b.txt",
    "50% #1?.txt",
    "sub/deep/ü.txt",
    "sub/x:y;z.txt",
    "it's.txt",
    "c.html",
    "f9",
    "f10",
)
MANY = 5200
DARK = (
    "Emulation.setEmulatedMedia",
    {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
)
PHONE = (
    "Emulation.setDeviceMetricsOverride",
    {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
)


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("listing") / "share"
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * (number + 1) * 100)
    (root / "empty").mkdir()
    (root / ".hidden").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def server(serve_module: Serve, share: Path) -> Server:
    return serve_module(share, "--quiet")


@pytest.fixture(scope="module")
def many(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    root = tmp_path_factory.mktemp("listing") / "many"
    root.mkdir()
    for number in range(MANY):
        (root / f"n{number}.txt").touch()
    return serve_module(root, "--quiet")


def require(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")


def read_tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.relative_to(root).parts[0].startswith(".")
    }


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            ["wget", "-q", "-r", "-np", "-nH", "--reject-regex", "sort=", "-P", "COPY", "URL"],
            id="wget",
        ),
        pytest.param(["lftp", "-c", "set xfer:log no; mirror URL COPY"], id="lftp"),
        pytest.param(["rclone", "copy", "--http-url", "URL", ":http:", "COPY"], id="rclone"),
    ],
)
def test_a_share_is_copied(server: Server, share: Path, tmp_path: Path, command: list[str]) -> None:
    require(command[0])
    copy = tmp_path / "copy"
    copy.mkdir()
    subprocess.run(
        [part.replace("URL", f"{server.url}/").replace("COPY", str(copy)) for part in command],
        check=True,
        timeout=100,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    found = read_tree(copy)
    expected = read_tree(share)
    if command[0] == "wget":
        # It keeps the listings as well.
        found = {name: content for name, content in found.items() if "index.html" not in name}
    assert found.keys() == expected.keys()
    assert found == expected


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["lftp", "-c", "open URL; cls -1"], id="lftp"),
        pytest.param(
            ["rclone", "lsf", "--http-no-head", "--http-url", "URL", ":http:"], id="rclone"
        ),
        pytest.param(["wget", "-q", "-O", "-", "URL"], id="wget"),
    ],
)
def test_a_large_share_is_listed_whole(many: Server, tmp_path: Path, command: list[str]) -> None:
    """Those that copy folders read one page of each, however many entries there are."""
    require(command[0])
    listed = subprocess.run(
        [part.replace("URL", f"{many.url}/") for part in command],
        check=True,
        timeout=100,
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert set(re.findall(r"n[0-9]+\.txt", listed.stdout)) == {
        f"n{number}.txt" for number in range(MANY)
    }


def test_a_share_is_mounted(server: Server, share: Path, tmp_path: Path) -> None:
    require("httpdirfs")
    require("fusermount")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    started = subprocess.run(
        ["httpdirfs", "--no-range-check", f"{server.url}/", str(mounted)],
        check=False,
        capture_output=True,
        timeout=30,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if started.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert read_tree(mounted) == read_tree(share)
    finally:
        subprocess.run(["fusermount", "-u", str(mounted)], check=True, timeout=30)


def test_json_is_asked_for_by_a_field(server: Server) -> None:
    asked = urllib.request.Request(f"{server.url}/sub/", headers={"Accept": "application/json"})
    for _ in range(3):
        with urllib.request.urlopen(asked) as answer:
            assert [one["name"] for one in json.load(answer)["entries"]] == ["deep", "x:y;z.txt"]
        with urllib.request.urlopen(f"{server.url}/sub/") as answer:
            assert answer.read().startswith(b"<!doctype html>")


TYPE = """
const input = document.querySelector('input');
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
const type = (text) => { input.value = text; input.dispatchEvent(new Event('input')); };
const shown = () => [...document.querySelectorAll('tbody tr:not([hidden]) a')].map(a => a.textContent);
"""


def test_a_browser_shows_it_and_keys_work(server: Server, chromium: Chromium) -> None:
    page = chromium.load(
        f"{server.url}/sub/",
        questions={
            "styled": "getComputedStyle(document.querySelector('table')).borderCollapse",
            "slash": f"(() => {{{TYPE} press('/'); return document.activeElement === input}})()",
            "filtered": f"(() => {{{TYPE} type('X:'); return shown()}})()",
            "arrow": f"(() => {{{TYPE} press('ArrowDown'); return document.activeElement.text}})()",
            "cleared": f"(() => {{{TYPE} input.focus(); press('Escape'); return shown()}})()",
            "time": "document.querySelector('th.time').textContent",
        },
    )
    assert page.faults == []
    assert page.answers == {
        "styled": "collapse",
        "slash": True,
        "filtered": ["Parent folder", "x:y;z.txt"],
        "arrow": "Parent folder",
        "cleared": ["Parent folder", "deep/", "x:y;z.txt"],
        "time": "Modified",
    }
    assert set(page.statuses.values()) == {200}


def test_on_a_phone_nothing_is_cut_off_and_at_night_it_is_dark(
    server: Server, share: Path, chromium: Chromium
) -> None:
    (share / "sub" / ("long-name" * 25)).touch()
    page = chromium.load(
        f"{server.url}/sub/",
        questions={
            "width": "document.documentElement.scrollWidth",
            "ground": "getComputedStyle(document.body).backgroundColor",
        },
        emulation=[PHONE, DARK],
    )
    (share / "sub" / ("long-name" * 25)).unlink()
    assert page.faults == []
    assert page.answers == {"width": 390, "ground": "rgb(21, 24, 28)"}


def test_without_scripts_the_filter_is_a_form(server: Server, chromium: Chromium) -> None:
    page = chromium.load(
        f"{server.url}/?q=f&sort=name&order=desc",
        questions={"names": "[...document.querySelectorAll('td a')].map(a => a.textContent)"},
        emulation=[("Emulation.setScriptExecutionDisabled", {"value": True})],
    )
    assert page.faults == []
    assert page.answers["names"] == ["f10", "f9"]
