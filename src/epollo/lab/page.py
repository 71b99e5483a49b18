"""The report as one page that fetches nothing: both languages and all charts are in it."""

import json
from html import escape
from importlib.resources import files
from string import Template

from epollo.lab.charts import DRAWING_STYLE
from epollo.lab.pictures import COPIED_POLLERS, draw_all, find_shared_idle
from epollo.lab.results import Results
from epollo.lab.table import describe_conditions, list_rows, list_verdicts
from epollo.lab.words import LANGUAGES, WORDS, say


def format_page(results: Results) -> str:
    """Return the page."""
    template = Template(files("epollo.lab").joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(say("title", "en")),
        title_en=json.dumps(say("title", "en")),
        title_zh=json.dumps(say("title", "zh")),
        other_en=escape(say("language", "en")),
        other_zh=escape(say("language", "zh")),
        theme=format_both("theme"),
        drawing_style=DRAWING_STYLE,
        content="\n".join(_format_content(results, language) for language in LANGUAGES),
    )


def format_both(key: str, number: str = "") -> str:
    """Return some words in both languages; the page shows one of them.

    ``number`` is the element that stands where the words have a place for a number.
    """
    texts = {language: escape(say(key, language, number="\0")) for language in LANGUAGES}
    return "".join(
        f'<span data-in="{language}" lang="{language}">{text}</span>'.replace("\0", number)
        for language, text in texts.items()
    )


def _format_content(results: Results, language: str) -> str:
    drawings = draw_all(results, language)
    idle = find_shared_idle(results)

    def words(key: str, **values: object) -> str:
        return escape(say(key, language, **values))

    def chart(name: str) -> str:
        is_round = name == "cost" and results.rounds == 1
        note = words(f"chart.{name}.{'round' if is_round else 'note'}", idle=idle)
        return (
            f"<h2>{words(f'chart.{name}')}</h2>\n"
            f'<figure class="chart">{drawings[name]}<figcaption>{note}</figcaption></figure>\n'
        )

    verdicts = "".join(
        f'<dt style="color:var(--{poller})">{poller}</dt><dd>{escape(verdict)}</dd>'
        for poller, verdict in list_verdicts(results, language)
    )
    mechanisms = "".join(
        f'<figure><h3 style="color:var(--{poller})">{poller}</h3>{drawings[f"copied-{poller}"]}'
        f"<figcaption>{words(f'{poller}.what')}</figcaption></figure>"
        for poller in COPIED_POLLERS
    )
    columns, filled = list_rows(results)
    # Two lines of head rather than a column that is wider than its figures.
    keys = [f"column.{column}" for column in columns]
    keys = [f"{key}.long" if f"{key}.long" in WORDS else key for key in keys]
    names = [words(key).replace("/", "/<wbr>") for key in keys]
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>\n" for row in filled
    )
    return (
        f'<article data-in="{language}" lang="{language}">\n'
        f"<h1>{words('title')}</h1>\n<h2>{words('verdict')}</h2>\n<dl>{verdicts}</dl>\n"
        f"<p>{words('lead')}</p>\n"
        f"{chart('cost')}"
        f'<h2>{words("copied")}</h2>\n<div class="pair">{mechanisms}</div>\n'
        f"{chart('latency')}{chart('waiting')}{chart('calls')}"
        f"<h2>{words('figures')}</h2>\n"
        f'<div class="wide" tabindex="0" role="region" aria-label="{words("figures")}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>\n"
        f"<footer><p>{escape(describe_conditions(results, language))}</p></footer>\n</article>"
    )
