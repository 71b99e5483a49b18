"""The idea of each step as a drawing; the words in it come from the page."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

WIDTH: Final = 440
HEIGHT: Final = 190


def box(
    x: float, y: float, width: float, height: float, words: str = "", style: str = "box"
) -> str:
    """Return a box with words in its middle."""
    return (
        f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
        f'<text class="middle" x="{x + width / 2:g}" y="{y + height / 2 + 5:g}">{escape(words)}</text>'
    )


def words_at(x: float, y: float, words: str, style: str = "soft middle") -> str:
    """Return words around a point."""
    return f'<text class="{style}" x="{x}" y="{y}">{escape(words)}</text>'


def arrow(x: float, y: float, to_x: float, to_y: float, style: str = "arrow") -> str:
    """Return an arrow; its head is drawn by the marker of the page's first definition."""
    length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5 or 1
    across, along = (to_x - x) / length, (to_y - y) / length
    left = (to_x - 9 * across - 5 * along, to_y - 9 * along + 5 * across)
    right = (to_x - 9 * across + 5 * along, to_y - 9 * along - 5 * across)
    return (
        f'<path class="{style}" d="M{x} {y}L{to_x} {to_y}'
        f'M{left[0]:.1f} {left[1]:.1f}L{to_x} {to_y}L{right[0]:.1f} {right[1]:.1f}"/>'
    )


def sockets(x: float, y: float, ready: int, count: int = 6) -> str:
    """Return a column of connections, of which one is ready."""
    return "".join(
        f'<circle class="{"hot" if number == ready else "dot"}" cx="{x}" cy="{y + 26 * number}" r="8"/>'
        for number in range(count)
    )


def draw_polling(words: Sequence[str]) -> str:
    parts = [box(10, 40, 130, 110, words[0]), sockets(330, 30, 3)]
    for number in range(6):
        is_hot = number == 3
        parts.append(arrow(145, 95, 315, 30 + 26 * number, "arrow loud" if is_hot else "arrow"))
        parts.append(words_at(348, 35 + 26 * number, words[3] if is_hot else words[2], "soft"))
    return "".join([*parts, words_at(222, 32, words[1])])


def draw_epoll(words: Sequence[str]) -> str:
    return "".join([
        box(10, 40, 140, 40, words[1]), box(10, 130, 140, 40, words[3]), sockets(400, 30, 3),
        box(250, 20, 120, 150), words_at(310, 100, words[0]),
        arrow(245, 60, 155, 60, "arrow loud"), words_at(200, 48, words[2], "hot middle"),
        arrow(80, 82, 80, 126), arrow(155, 150, 388, 112),
    ])  # fmt: skip


def draw_outbox(words: Sequence[str]) -> str:
    return "".join([
        box(10, 70, 110, 60, words[0]), box(165, 70, 130, 60, words[1], "box full"),
        box(345, 70, 90, 60, words[2]), arrow(124, 100, 160, 100, "arrow loud"),
        arrow(299, 100, 340, 100), arrow(230, 66, 65, 66, "arrow"), words_at(148, 50, words[3], "hot middle"),
    ])  # fmt: skip


def draw_pieces(words: Sequence[str]) -> str:
    return "".join([
        box(10, 30, 110, 40, words[0]), box(10, 115, 110, 40, words[1]),
        arrow(124, 50, 180, 85), arrow(124, 135, 180, 105), box(185, 65, 100, 60, words[2], "box full"),
        arrow(289, 95, 325, 95, "arrow loud"), box(330, 70, 105, 50, words[3]),
    ])  # fmt: skip


def draw_events(words: Sequence[str]) -> str:
    return "".join([
        words_at(105, 24, words[0]), box(20, 36, 170, 40, words[2]), box(20, 86, 170, 40, words[1], "box full"),
        arrow(194, 56, 262, 56), box(266, 36, 166, 40, words[3]),
        arrow(194, 106, 300, 80, "arrow loud"), words_at(230, 160, "?", "hot middle"),
    ])  # fmt: skip


def draw_folder(words: Sequence[str]) -> str:
    return "".join([
        box(10, 20, 170, 40, words[1]), arrow(95, 64, 95, 96), box(40, 100, 110, 40, words[2]),
        box(290, 30, 140, 130, words[0]), arrow(154, 120, 286, 120),
        arrow(184, 40, 286, 40, "arrow loud"), words_at(236, 30, words[3], "hot middle"),
    ])  # fmt: skip


def draw_http(words: Sequence[str]) -> str:
    return "".join([
        words_at(110, 28, words[0]), box(10, 40, 200, 44, words[1]), box(210, 40, 210, 44, words[2]),
        '<path class="arrow loud" d="M196 34V150"/>', words_at(196, 172, words[3], "hot middle"),
    ])  # fmt: skip


def draw_time(words: Sequence[str]) -> str:
    return "".join([
        box(10, 70, 130, 46, words[0], "box full"), box(150, 70, 80, 46, words[1]), box(240, 70, 80, 46, words[2]),
        '<path class="arrow loud" d="M190 66C200 15 370 15 382 62M376 53l6 9 5 -10"/>',
        words_at(290, 22, words[3], "hot middle"), box(345, 70, 80, 46, "10 s"),
    ])  # fmt: skip


def draw_files(words: Sequence[str]) -> str:
    return "".join([
        box(10, 110, 130, 50, words[0]), box(300, 110, 130, 50, words[1]), box(155, 20, 130, 44, words[2]),
        arrow(144, 135, 296, 135, "arrow loud"), words_at(220, 125, words[3], "hot middle"),
    ])  # fmt: skip


def draw_memory(words: Sequence[str]) -> str:
    return "".join([
        box(10, 30, 110, 44, words[0]), arrow(124, 52, 166, 52), box(170, 30, 100, 44, words[1], "box full"),
        arrow(220, 78, 220, 112, "arrow loud"), box(150, 116, 140, 44, words[2]),
        arrow(294, 138, 336, 138), box(340, 116, 90, 44, words[3]),
    ])  # fmt: skip


def draw_recall(words: Sequence[str]) -> str:
    return "".join([
        box(10, 40, 130, 50, words[0]), arrow(144, 65, 176, 65), box(180, 40, 110, 50, words[1], "box full"),
        arrow(294, 65, 326, 65, "arrow loud"), box(330, 40, 100, 50, words[2]),
        arrow(235, 150, 235, 96), words_at(235, 172, words[3]),
    ])  # fmt: skip


DRAWINGS: Final[tuple[Callable[[Sequence[str]], str], ...]] = (
    draw_polling, draw_epoll, draw_outbox, draw_pieces, draw_events, draw_folder,
    draw_http, draw_time, draw_files, draw_memory, draw_recall,
)  # fmt: skip


def draw_idea(number: int, caption: str, words: Sequence[str]) -> str:
    """Return the drawing of a step as an element of a page."""
    return (
        f'<svg class="drawing" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="idea">'
        f'<title id="idea">{escape(caption)}</title>{DRAWINGS[number](words)}</svg>'
    )
