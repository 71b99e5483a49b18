"""The pictures of what the steps cost: a row for each step, a mark for each count of idle clients."""

import math
from collections.abc import Callable
from html import escape
from typing import Any, Final

from epollo.lab.charts import Caption, format_number, make_standalone, wrap_svg

LANGUAGES: Final = ("en", "zh")
NAMES: Final[dict[str, tuple[str, str]]] = {
    "00_polling": ("0 polling", "0 轮询"),
    "01_epoll": ("1 epoll", "1 epoll"),
    "02_outbox": ("2 outbox", "2 发件箱"),
    "03_pieces": ("3 pieces", "3 分段"),
    "04_events": ("4 events", "4 事件"),
    "05_folder": ("5 folder", "5 目录"),
    "06_http": ("6 HTTP", "6 HTTP"),
    "07_time": ("7 time", "7 时限"),
    "08_files": ("8 files", "8 文件"),
    "09_memory": ("9 memory", "9 内存"),
    "10_recall": ("10 recall", "10 记住响应"),
}
WORDS: Final[dict[str, tuple[str, str]]] = {
    "cost": ("Processor time of one request", "每次请求的处理器时间"),
    "cost.axis": ("µs for one request, logarithmic", "每次请求的微秒数（对数轴）"),
    "rate": ("Requests per second", "每秒请求数"),
    "rate.axis": ("requests in a second, logarithmic", "每秒请求数（对数轴）"),
    "idle": ("{idle:,} idle", "{idle:,} 个空闲连接"),
    "idle.first": ("no idle connection", "无空闲连接"),
    "row": ("{name}: {figures}", "{name}：{figures}"),
}
KINDS: Final = {"cost": "cpu_microseconds", "rate": "requests_per_second"}
# The colour and the shape of a series; the colours are those of the pollers of the lab.
MARKS: Final = (
    ("epoll", "M0 -6.5L6.5 0L0 6.5L-6.5 0Z"),
    ("select", "M-5 -5h10v10h-10Z"),
    ("busy", "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0Z"),
)
# Classes, not style attributes: a page may forbid those (Content-Security-Policy, style-src).
MARK_STYLE: Final = "".join(
    f"svg .fill-{colour} {{ fill: var(--{colour}); }}" for colour, _ in MARKS
)
WIDTH: Final = 480
LEFT: Final = 118
RIGHT: Final = 26
TOP: Final = 58
ROW: Final = 29


def say(key: str, language: str, **values: object) -> str:
    """Return the words for a key in a language."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)


def name_step(program: str, language: str) -> str:
    """Return the number and the name of a step."""
    return NAMES[program][LANGUAGES.index(language)]


def draw(results: dict[str, Any], kind: str, language: str, highlighted: str = "") -> str:
    """Return one picture; the row of the ``highlighted`` program stands out."""
    figures = {(step["program"], step["idle"]): step[KINDS[kind]] for step in results["steps"]}
    idle_counts = sorted({idle for _, idle in figures})
    low = math.floor(math.log10(min(figures.values())))
    high = math.ceil(math.log10(max(figures.values())))

    def across(value: float) -> float:
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = TOP + len(NAMES) * ROW + 48
    parts = [_draw_axis(across, low, high, height), _draw_legend(idle_counts, language)]
    for number, program in enumerate(NAMES):
        y = TOP + number * ROW + ROW / 2
        values = [figures[program, idle] for idle in idle_counts]
        parts.append(
            _draw_row(name_step(program, language), values, y, across, program == highlighted)
        )
    parts.append(
        f'<text class="soft middle" x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{height - 6}">'
        f"{escape(say(f'{kind}.axis', language))}</text>"
    )
    caption = Caption(f"{kind}-{language}", say(kind, language), describe(figures, language))
    return wrap_svg(caption, WIDTH, height, "".join(parts))


def describe(figures: dict[tuple[str, int], float], language: str) -> str:
    """Return the figures in words, for a screen reader."""
    idle_counts = sorted({idle for _, idle in figures})
    stop = ". " if language == "en" else "。"
    return stop.join(
        say(
            "row",
            language,
            name=name_step(program, language),
            figures=", ".join(format_number(figures[program, idle]) for idle in idle_counts),
        )
        for program in NAMES
    )


def draw_all(results: dict[str, Any]) -> dict[str, str]:
    """Return the pictures as files, by their names."""
    return {
        f"lesson-{kind}-{language}.svg": make_standalone(
            draw(results, kind, language).replace("</desc>", f"</desc><style>{MARK_STYLE}</style>")
        )
        for kind in KINDS
        for language in LANGUAGES
    }


def _draw_axis(across: Callable[[float], float], low: int, high: int, height: int) -> str:
    bottom = height - 42
    return "".join(
        f'<path class="rule" d="M{across(10.0**power):.1f} {TOP}V{bottom}"/>'
        f'<text class="soft middle" x="{across(10.0**power):.1f}" y="{bottom + 17}">'
        f"{format_number(10.0**power)}</text>"
        for power in range(low, high + 1)
    )


def _draw_legend(idle_counts: list[int], language: str) -> str:
    parts = []
    for place, (idle, (colour, shape)) in enumerate(zip(idle_counts, MARKS, strict=True)):
        words = say("idle", language, idle=idle) if idle else say("idle.first", language)
        x = 12 + place * 160
        parts.append(
            f'<path class="fill-{colour}" transform="translate({x} 20)" d="{shape}"/>'
            f'<text x="{x + 13}" y="25">{escape(words)}</text>'
        )
    return "".join(parts)


def _draw_row(
    name: str, values: list[float], y: float, across: Callable[[float], float], is_highlighted: bool
) -> str:
    ground = (
        f'<rect class="box" x="1" y="{y - ROW / 2:g}" width="{WIDTH - 2}" height="{ROW}" rx="6"/>'
        if is_highlighted
        else ""
    )
    least, most = across(min(values)), across(max(values))
    marks = "".join(
        f'<path class="fill-{colour}" transform="translate({across(value):.1f} {y:g})" '
        f'd="{shape}"/>'
        for value, (colour, shape) in zip(values, MARKS, strict=True)
    )
    return (
        f'{ground}<text class="{"bold" if is_highlighted else "soft"}" x="8" y="{y + 5:g}">'
        f"{escape(name)}</text>"
        f'<path class="rule" d="M{least:.1f} {y:g}H{most:.1f}"/>{marks}'
    )
