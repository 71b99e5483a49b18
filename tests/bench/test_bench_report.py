from xml.etree import ElementTree

import pytest

from bench.comparisons import make_comparison, make_result, make_rounds
from chart import draw_chart, make_panel
from report import format_report, format_spread
from results import Comparison, Figure, IdleMemory, format_figure

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(name="comparison")
def _comparison() -> Comparison:
    idle = IdleMemory(connections=10_000, alive=9_999, pss_before=0, pss_after=5_000_000)
    return make_comparison(
        _1k={
            "epollo": make_result("epollo", make_rounds(4.0, 4.1, 4.2)),
            "nginx": make_result("nginx", make_rounds(5.0, 5.1, 5.2, errors=1)),
            "uvicorn": make_result("uvicorn", make_rounds(400.0)),
            "h2o": make_result("h2o", [], wrong="status 404, not 200"),
            "floor": make_result("bare loop in C", make_rounds(3.5)),
        },
        idle_10000={
            "epollo": make_result(
                "epollo", make_rounds(4.4), without_idle=make_rounds(4.0), idle=idle
            )
        },
    )


@pytest.mark.parametrize(
    ("value", "text"), [(4.123, "4.12"), (15.86, "15.9"), (151.4, "151"), (60568.3, "60,568")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert format_figure(value) == text


def test_a_spread_is_said_where_there_is_one() -> None:
    assert format_spread(Figure(2, 1, 3)) == "2 (1 to 3)"
    assert format_spread(Figure(2, 2, 2)) == "2"


def test_the_overview_marks_the_best_server_and_not_the_floor(comparison: Comparison) -> None:
    report = format_report(comparison, "chart.svg")
    assert "| _1k | **4.1** | 5.1 | 400 | wrong | 3.5 |" in report


def test_a_wrong_server_and_errors_are_said(comparison: Comparison) -> None:
    report = format_report(comparison, "chart.svg")
    assert "| h2o | not counted |" in report
    assert "status 404, not 200" in report
    assert "3 errors" in report


def test_idle_connections_are_reported(comparison: Comparison) -> None:
    report = format_report(comparison, "chart.svg")
    assert "500 octets per idle connection" in report
    assert "only 9,999 of 10,000 stayed open" in report
    assert "1.10 x the cost without them" in report


def test_only_bars_that_were_measured_are_judged(comparison: Comparison) -> None:
    report = format_report(comparison, "chart.svg")
    assert "| _1k | less than nginx's best | 4.1 µs against 5.1 µs: 0.80 x | yes |" in report
    assert "less than h2o's" not in report


def test_every_row_of_a_table_has_the_columns_of_its_head(comparison: Comparison) -> None:
    blocks = format_report(comparison, "chart.svg").split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) >= 4
    for table in tables:
        assert {row.count("|") for row in table} == {table[0].count("|")}


def test_the_chart_is_xml_with_text_and_a_description(comparison: Comparison) -> None:
    root = ElementTree.fromstring(draw_chart(comparison))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"_1k", "epollo", "nginx", "uvicorn", "4.1", "5.1", "400"} <= set(texts)
    assert "h2o" not in texts
    description = root.find(f"{SVG}desc")
    assert description is not None
    assert "epollo 4.1, nginx 5.1" in (description.text or "")


def test_bars_of_the_chart_are_as_long_as_their_cost(comparison: Comparison) -> None:
    panel = make_panel(comparison["workloads"]["1k"])
    assert [name for name, _, _ in panel.costs] == ["epollo", "nginx", "uvicorn"]
    assert panel.floor == 3.5
    root = ElementTree.fromstring(draw_chart(comparison))
    widths = [
        float(element.get("width", "0"))
        for element in root.iter(f"{SVG}rect")
        if "bar" in element.get("class", "")
    ]
    assert widths[0] / widths[1] == pytest.approx(4.1 / 5.1, abs=0.01)
    assert widths[2] / widths[1] == pytest.approx(2.0, abs=0.01)


def test_the_chart_of_nothing_is_still_a_picture() -> None:
    root = ElementTree.fromstring(draw_chart(make_comparison()))
    assert root.tag == f"{SVG}svg"
