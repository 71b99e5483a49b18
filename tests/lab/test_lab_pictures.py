"""The committed pictures are the ones that the committed figures make; the example shows them too."""

import re
import struct
import zipfile
from pathlib import Path

from epollo.lab.command import write_drawings
from epollo.lab.reading import parse_json
from epollo.lab.words import say

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "lab"
EXAMPLE = ROOT / "example"


def test_the_pictures_are_made_from_the_figures(tmp_path: Path) -> None:
    results = parse_json((FOLDER / "results.json").read_text(encoding="utf-8"))
    written = write_drawings(results, tmp_path)
    assert {path.name for path in written} == {path.name for path in FOLDER.glob("*.svg")}
    for path in written:
        assert (FOLDER / path.name).read_text(encoding="utf-8") == path.read_text(
            encoding="utf-8"
        ), "epollo lab --from docs/lab/results.json --svg docs/lab makes them current"


def test_the_figures_say_where_and_when_they_were_measured() -> None:
    results = parse_json((FOLDER / "results.json").read_text(encoding="utf-8"))
    assert results.date
    assert all(results.machine.values())
    assert set(results.machine) == {"processor", "processors", "kernel", "python"}


def test_the_figures_show_what_they_are_shown_for() -> None:
    """Polling grows with the silent connections; beside it epoll does not, up to 10,000."""
    results = parse_json((FOLDER / "results.json").read_text(encoding="utf-8"))
    growths = {poller: results.growth(poller) for poller in results.pollers}
    assert set(growths) == {"busy", "select", "poll", "epoll"}
    for poller, growth in growths.items():
        assert growth is not None
        if poller == "epoll":
            assert growth.kind == "constant"
            assert growth.ratio < 1.2
        else:
            assert growth.kind == "linear"
            assert growth.ratio > 3
    assert results.idle[-1] == 10_000
    assert [wall.poller for wall in results.walls] == ["select"]


def test_the_example_shows_the_labs_picture() -> None:
    for name, original in (
        ("lab-cost.svg", "lab-cost-en.svg"),
        ("lab-cost-narrow.svg", "lab-cost-narrow-en.svg"),
    ):
        shown = (EXAMPLE / "pictures" / name).read_bytes()
        assert shown == (FOLDER / original).read_bytes(), f"copy docs/lab/{original} there"


def test_the_archive_has_the_pictures_of_the_example() -> None:
    with zipfile.ZipFile(EXAMPLE / "downloads" / "pictures.zip") as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    assert kept == {path.name: path.read_bytes() for path in (EXAMPLE / "pictures").glob("*.svg")}


def test_lab_and_example_tell_the_same_of_what_is_copied() -> None:
    """Octets into the kernel and back for fifty connections, one of them ready.

    core_sys_select copies the bits of a map in whole longs; poll(2) copies a struct pollfd in, and
    revents out; epoll_wait(2) copies out a packed struct epoll_event.
    """
    copied = {
        "select": (struct.calcsize("l") * -(-50 // 64),) * 2,
        "poll": (50 * struct.calcsize("ihh"), 50 * struct.calcsize("h")),
        "epoll": (0, struct.calcsize("=Iq")),
    }
    page = (EXAMPLE / "events.html").read_text(encoding="utf-8")
    for poller, (into, back) in copied.items():
        told = [say(f"{poller}.{way}", "en") for way in ("in", "out")]
        found = [re.findall(r"(\d+) octets", text) for text in told]
        assert found == [[str(into)] if into else [], [str(back)]]
        row = re.search(rf'<th scope="row">{poller}</th><td class="number">(\d+)</td>', page)
        assert row is not None
        assert int(row[1]) == into + back
