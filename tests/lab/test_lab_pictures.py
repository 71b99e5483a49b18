"""The committed pictures are the ones that the committed figures make."""

from pathlib import Path

from epollo.lab.command import write_drawings
from epollo.lab.results import parse_json

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "lab"


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
    assert set(results.machine) == {"processor", "kernel", "python"}


def test_the_figures_show_what_they_are_shown_for() -> None:
    """Polling grows with those who are silent; beside it epoll does not, up to 10,000."""
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
