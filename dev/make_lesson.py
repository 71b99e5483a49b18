#!/usr/bin/env python3
"""Make the pages of the lesson in the example site, in each language, from lesson/.

The words are in lesson/pages/, the lines that changed come from the programs themselves, the figures from
lesson/results.json. What it writes is committed; a test holds that it is what this makes.

    .venv/bin/python dev/make_lesson.py
"""

from __future__ import annotations

import difflib
import json
import sys
import tomllib
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LESSON = ROOT / "lesson"
sys.path.insert(0, str(LESSON))

from ideas import draw_idea  # noqa: E402
from picture import LANGUAGES, draw  # noqa: E402

PROGRAMS = sorted(LESSON.glob("[0-9][0-9]_*.py"))
CONTEXT_LINES = 2
CURRENT = ' aria-current="page"'
WORDS: dict[str, tuple[str, str]] = {
    "skip": ("To the text", "跳到正文"),
    "pages": ("Pages", "页面"),
    "welcome": ("Welcome", "欢迎"),
    "polling": ("Polling", "轮询"),
    "events": ("Events", "事件"),
    "guests": ("Fifty guests", "五十位客人"),
    "lesson": ("The lesson", "十步课程"),
    "files": ("The files", "文件"),
    "menu": ("Menu", "菜单"),
    "other": ("中文", "English"),
    "step": ("Step {number} of 10", "第 {number} 步，共 10 步"),
    "steps": ("Steps of the lesson", "课程各步"),
    "wrong": ("What the step before gets wrong", "上一步错在哪里"),
    "now": ("What is different now", "现在怎样做"),
    "changed": ("The lines that changed", "改动的代码"),
    "program": ("The whole program", "完整的程序"),
    "changed.label": ("Changes from {before} to {after}", "从 {before} 到 {after} 的改动"),
    "try": ("See it fail", "看它怎样出错"),
    "try.first": ("See it run", "运行起来"),
    "try.how": (
        "Paste this in the checkout’s folder. It starts the server, asks, and ends it.",
        "在项目根目录下粘贴运行。命令会启动服务器、发出请求，再让它退出。",
    ),
    "try.silent": (
        "Paste this in the checkout’s folder. It runs the server for three seconds and prints its share of a processor.",
        "在项目根目录下粘贴运行。命令让服务器运行三秒，再打印它占用处理器的比例。",
    ),
    "try.before": ("with the step before:", "上一步的程序："),
    "try.after": ("with this step:", "这一步的程序："),
    "cost": ("What it costs", "代价是什么"),
    "measured": ("Measured", "实测"),
    "measured.note": (
        (
            "Eight clients ask for 1 KiB without pause; the others are open and silent. {date}, {kernel},"
            " {python}, on two processors that other programs used as well: best of {rounds} rounds of"
            " one run."
        ),
        (
            "八个客户端不停地请求 1 KiB 的文件，其余连接保持打开，但不发送数据。{date}，{kernel}，{python}，"
            "两个处理器，同时有其他程序在运行；同一次测量中 {rounds} 轮里最好的一轮。"
        ),
    ),
    "measured.own": ("On your machine:", "在你的机器上测量："),
    "rooms": ("For real, in epollo", "epollo 里真正的做法"),
    "next": ("Next: {name} →", "下一步：{name} →"),
    "end": ("Ten questions to find out what has stayed →", "十个问题，看看记住了多少 →"),
    "index.title": ("The lesson: eleven small servers", "课程：十一个小服务器"),
    "index.lead": (
        "From a server that polls its list of sockets to one that answers by a look-up, in ten steps. Each"
        " is a whole program of at most 150 lines of Python, and differs from the one before by one idea.",
        "从挨个轮询套接字的服务器，到用一次查表作出响应的服务器，一共十步。每一步都是一个完整的 Python 程序，"
        "不超过 150 行，只比上一步多一个想法。",
    ),
    "index.how": (
        "Each page has the idea, the lines that changed, a command that makes the step before fail, and"
        " what a request costs. Read them in turn; an hour is enough.",
        "每一页都有：这一步的想法，改动的代码，一条让上一步出错的命令，以及一次请求的代价。按顺序读，一个小时足够。",
    ),
    "index.rate": ("Requests per second", "每秒请求数"),
    "index.rate.note": (
        "The best of {rounds} rounds: other programs took a share of the processors that changed from moment to"
        " moment, which moves these figures far more than the processor time above.",
        "{rounds} 轮中最好的一轮：测量时其他程序也在占用处理器，而且时多时少，对这些数字的影响比对上面的处理器时间大得多。",
    ),
    "questions.title": ("Ten questions", "十个问题"),
    "questions.lead": (
        "They were written before the pages. Answer each one first, then open it.",
        "这些问题写在课程之前。先自己回答，再展开看答案。",
    ),
    "colophon": (
        "This site is ours from the font to the film and comes with epollo. It asks nothing of any other"
        " machine.",
        "本站从字体到视频都由我们自己制作，随 epollo 提供，不向任何其他机器请求任何内容。",
    ),
    "licence": ("MIT License", "MIT 许可证"),
}
STOP = {"en": ".", "zh": "。"}
SPACE = {"en": " ", "zh": ""}  # behind a full stop or a colon
SILENT = "01_epoll"  # its command asks for nothing


def say(key: str, language: str, **values: object) -> str:
    """Return the words for a key in a language."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)


def read_words(language: str) -> dict[str, Any]:
    """Return what the pages say in a language, by the names of the programs."""
    return tomllib.loads((LESSON / "pages" / f"{language}.toml").read_text(encoding="utf-8"))


def read_commands() -> dict[str, dict[str, str]]:
    """Return the command of each step and what it prints."""
    return tomllib.loads((LESSON / "pages" / "commands.toml").read_text(encoding="utf-8"))


def format_command(command: str, program: Path) -> str:
    """Return a command as it is pasted."""
    return command.strip().format(program=f"lesson/{program.name}")


def read_code(program: Path) -> list[str]:
    """Return the lines of a program behind its head, which changes whole at each step."""
    return program.read_text().split('"""\n', 2)[1].lstrip("\n").splitlines()


def list_changes(before: Path, after: Path) -> list[tuple[str, str]]:
    """Return the lines that differ, with some around them, each with " ", "+", "-" or "@" for a gap."""
    changes = difflib.unified_diff(
        read_code(before), read_code(after), lineterm="", n=CONTEXT_LINES
    )
    lines = [(line[:1], line[1:]) for line in changes if not line.startswith(("---", "+++"))]
    return lines[1:]  # the first gap is the beginning


def format_changes(before: Path, after: Path) -> str:
    """Return the lines that differ as rows of a listing."""
    rows = []
    for mark, line in list_changes(before, after):
        if mark == "@":
            rows.append('<span class="gap">⋯</span>')
        elif mark == " ":
            rows.append(f"<span>  {escape(line)}</span>")
        else:
            tag = "ins" if mark == "+" else "del"
            rows.append(f"<{tag}>{mark} {escape(line)}</{tag}>")
    return "\n".join(rows)


def format_listing(code: str, label: str, style: str = "listing") -> str:
    """Return code that may be scrolled, also with the keyboard."""
    return f'<pre class="{style}" tabindex="0" role="region" aria-label="{escape(label)}"><code>{code}</code></pre>'


def format_shell(language: str, path: str, title: str, description: str, content: str) -> str:
    """Return a page around its content; ``path`` is the page within the site of a language."""
    depth = path.count("/") + (language == "zh")
    up = "../" * depth
    own = "../" * path.count("/")
    other_path = path.removesuffix("index.html")
    other = up + ("zh/" if language == "en" else "") + other_path
    english, chinese = (up + other_path, up + "zh/" + other_path)
    lang = {"en": "en", "zh": "zh-Hans"}
    links = "".join(
        f'\n        <li><a href="{own}{target}"{CURRENT if is_here else ""}>'
        f"{say(key, language)}</a></li>"
        for key, target, is_here in (
            ("welcome", "" if own else "./", False),
            ("polling", "polling.html", False),
            ("events", "events.html", False),
            ("guests", "guests.html", False),
            ("lesson", "lesson/", True),
            ("files", "files.html", False),
            ("menu", "menu/", False),
        )
    )
    return f"""<!doctype html>
<html lang="{lang[language]}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{escape(title)} · epollo</title>
  <meta name="description" content="{escape(description)}">
  <meta name="theme-color" content="#faf4e8" media="(prefers-color-scheme: light)">
  <meta name="theme-color" content="#1e1714" media="(prefers-color-scheme: dark)">
  <link rel="icon" href="{up}favicon.ico" sizes="48x48">
  <link rel="icon" href="{up}favicon.svg" type="image/svg+xml" sizes="any">
  <link rel="apple-touch-icon" href="{up}icons/apple-touch-icon.png">
  <link rel="manifest" href="{up}site.webmanifest">
  <link rel="alternate" hreflang="en" href="{english or "./"}">
  <link rel="alternate" hreflang="zh" href="{chinese}">
  <script src="{up}scripts/language.js"></script>
  <link rel="preload" href="{up}fonts/raised-hand.woff2" as="font" type="font/woff2" crossorigin>
  <link rel="stylesheet" href="{up}styles/site.css">
</head>
<body>
  <a class="skip" href="#main">{say("skip", language)}</a>
  <header class="masthead">
    <a class="brand" href="{own or "./"}"><span class="pictogram" aria-hidden="true">&#xe000;</span> epollo</a>
    <nav aria-label="{say("pages", language)}">
      <ul>{links}
        <li><a class="language" href="{other or "./"}" hreflang="{"zh" if language == "en" else "en"}" lang="{"zh-Hans" if language == "en" else "en"}">{say("other", language)}</a></li>
      </ul>
    </nav>
  </header>
  <main id="main" class="page">
{content}
  </main>
  <footer class="colophon">
    <div>
      <p>{say("colophon", language)}{SPACE[language]}<a href="{up}fonts/LICENSE.txt">{say("licence", language)}</a>{STOP[language]}</p>
    </div>
  </footer>
</body>
</html>
"""


def name_page(program: Path) -> str:
    """Return the name of a step's page."""
    number, _, name = program.stem.partition("_")
    return f"{int(number)}-{name}.html"


def format_measured(results: dict[str, Any], language: str, program: str) -> str:
    """Return the figure of what a request costs, with the row of a step marked."""
    note = say("measured.note", language, **results)
    own, space = say("measured.own", language), SPACE[language]
    return f"""    <figure class="card measured">
      {draw(results, "cost", language, program)}
      <figcaption>{note}{space}{own}{space}<code>.venv/bin/python lesson/measure.py</code></figcaption>
    </figure>"""


def format_steps(language: str, current: Path | None = None) -> str:
    """Return the links to all steps."""
    words = read_words(language)
    items = "".join(
        f'\n        <li><a href="{name_page(program)}"{CURRENT if program == current else ""}>'
        f"{int(program.stem[:2])} {words[program.stem]['name']}</a></li>"
        for program in PROGRAMS
    )
    return f'    <nav class="steps" aria-label="{say("steps", language)}">\n      <ol>{items}\n      </ol>\n    </nav>'


def format_step(number: int, language: str, results: dict[str, Any]) -> str:
    """Return the page of a step."""
    program, words = PROGRAMS[number], read_words(language)[PROGRAMS[number].stem]
    command = read_commands()[program.stem]["command"]
    how = say("try.silent" if program.stem == SILENT else "try.how", language)
    space = SPACE[language]

    def head(key: str) -> str:
        return f"    <h2>{say(key, language)}</h2>"

    if number:
        before = PROGRAMS[number - 1]
        label = say("changed.label", language, before=before.name, after=program.name)
        code = [
            head("changed"),
            format_listing(format_changes(before, program), label, "listing diff"),
        ]
        tries = [
            head("try"),
            f"    <p>{words['see']}{space}{how}</p>",
            f"    <h3>{say('try.before', language)}{space}<code>{before.name}</code></h3>",
            format_listing(escape(format_command(command, before)), say("try.before", language)),
            f"    <h3>{say('try.after', language)}{space}<code>{program.name}</code></h3>",
            format_listing(escape(format_command(command, program)), say("try.after", language)),
        ]
    else:
        code = [
            head("program"),
            format_listing(escape("\n".join(read_code(program))), program.name),
        ]
        tries = [
            head("try.first"),
            f"    <p>{words['see']}{space}{how}</p>",
            format_listing(escape(format_command(command, program)), program.name),
        ]
    rooms = "".join(
        f"\n      <li><code>{path}</code><br>{text}</li>" for path, text in words["rooms"].items()
    )
    if number < len(PROGRAMS) - 1:
        following = PROGRAMS[number + 1]
        name = read_words(language)[following.stem]["title"]
        onward = f'<a href="{name_page(following)}">{say("next", language, name=name)}</a>'
    else:
        onward = f'<a href="questions.html">{say("end", language)}</a>'
    content = "\n".join([
        format_steps(language, program),
        f'    <p class="small step">{say("step", language, number=number)} · <code>lesson/{program.name}</code></p>',
        f"    <h1>{words['title']}</h1>",
        f'    <p class="lead">{words["lead"]}</p>',
        '    <div class="beside">\n      <div>',
        head("wrong") if number else "",
        f"    <p>{words['wrong']}</p>",
        head("now"),
        f"    <p>{words['now']}</p>",
        f'      </div>\n      <figure class="card">{draw_idea(number, words["caption"], words["labels"])}'
        f"<figcaption>{words['caption']}</figcaption></figure>\n    </div>",
        *code,
        *tries,
        head("cost"),
        f"    <p>{words['cost']}</p>",
        head("measured"),
        format_measured(results, language, program.stem),
        head("rooms"),
        f'    <ul class="rooms">{rooms}\n    </ul>',
        f'    <p class="onward">{onward}</p>',
    ])  # fmt: skip
    return format_shell(
        language, f"lesson/{name_page(program)}", words["title"], words["lead"], content
    )


def format_index(language: str, results: dict[str, Any]) -> str:
    """Return the first page of the lesson."""
    words = read_words(language)
    items = "".join(
        f'\n      <li><a href="{name_page(program)}">{words[program.stem]["title"]}</a>'
        f"<span>{words[program.stem]['lead']}</span></li>"
        for program in PROGRAMS
    )
    content = "\n".join([
        f"    <h1>{say('index.title', language)}</h1>",
        f'    <p class="lead">{say("index.lead", language)}</p>',
        f"    <p>{say('index.how', language)}</p>",
        f'    <ol class="contents" start="0">{items}\n    </ol>',
        f'    <p><a href="questions.html">{say("questions.title", language)}</a></p>',
        f"    <h2>{say('measured', language)}</h2>",
        format_measured(results, language, ""),
        f"    <h2>{say('index.rate', language)}</h2>",
        f'    <figure class="card measured">\n      {draw(results, "rate", language)}\n'
        f"      <figcaption>{say('index.rate.note', language, **results)}</figcaption>\n    </figure>",
        f'    <p class="onward"><a href="{name_page(PROGRAMS[0])}">'
        f"{say('next', language, name=words[PROGRAMS[0].stem]['title'])}</a></p>",
    ])  # fmt: skip
    return format_shell(
        language,
        "lesson/index.html",
        say("index.title", language),
        say("index.lead", language),
        content,
    )


def read_questions() -> list[tuple[dict[str, tuple[str, str]], str]]:
    """Return question and answer in each language, and the name of the test that holds the answer."""
    sections = (LESSON / "questions.md").read_text(encoding="utf-8").split("\n## ")[1:]
    questions = []
    for section in sections:
        _, english, answer, chinese, chinese_answer, test = section.strip().split("\n\n")
        questions.append(
            ({"en": (english, answer), "zh": (chinese, chinese_answer)}, test.strip("`"))
        )
    return questions


def format_questions(language: str) -> str:
    """Return the page with the questions."""
    items = "".join(
        f"\n      <li><details><summary>{escape(texts[language][0])}</summary>"
        f"<p>{escape(texts[language][1])}</p></details></li>"
        for texts, _ in read_questions()
    )
    content = "\n".join([
        format_steps(language),
        f"    <h1>{say('questions.title', language)}</h1>",
        f'    <p class="lead">{say("questions.lead", language)}</p>',
        f'    <ol class="questions">{items}\n    </ol>',
    ])  # fmt: skip
    return format_shell(
        language,
        "lesson/questions.html",
        say("questions.title", language),
        say("questions.lead", language),
        content,
    )


def make_pages() -> dict[str, str]:
    """Return every page of the lesson by its path within the example site."""
    results = json.loads((LESSON / "results.json").read_text())
    pages = {}
    for language in LANGUAGES:
        folder = "zh/lesson" if language == "zh" else "lesson"
        pages[f"{folder}/index.html"] = format_index(language, results)
        pages[f"{folder}/questions.html"] = format_questions(language)
        for number, program in enumerate(PROGRAMS):
            pages[f"{folder}/{name_page(program)}"] = format_step(number, language, results)
    return pages


def main() -> None:
    """Write the pages."""
    for path, page in make_pages().items():
        target = ROOT / "example" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
        print(f"{len(page.encode()):>8} {path}")


if __name__ == "__main__":
    main()
