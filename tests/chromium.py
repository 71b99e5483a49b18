"""Chromium without a window, spoken to over a pipe (the DevTools protocol).

``--remote-debugging-pipe``: messages in JSON, each ended by a zero octet; the browser reads them from
descriptor 3 and answers on descriptor 4. No port, no driver, nothing to install besides the browser.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
)
REPLY_SECONDS = 30

# The browser wants its ends as 3 and 4.
_LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_chromium() -> str | None:
    """Return where the browser is, by one of the names that distributions give it."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """What happened while a page was loaded."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        """Errors on the console, uncaught exceptions, requests that failed."""
        self.statuses: dict[str, int] = {}
        """The status of every answer, by URL."""
        self.title = ""
        self.broken_pictures: list[str] = []
        self.answers: dict[str, Any] = {}
        """What the page said to the questions, by their names."""


class Chromium:
    """A browser with a profile of its own."""

    def __init__(self, profile: Path, *flags: str) -> None:
        program = find_chromium()
        assert program is not None
        to_browser, self._writing = _open_pipe()
        self._reading, from_browser = _open_pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", _LAUNCH, str(to_browser), str(from_browser)),
                *(program, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._octets = b""
        self._last_number = 0
        self._events: list[dict[str, Any]] = []
        self._place: dict[str, str] = {}
        """Where tabs are opened: in the profile itself, or in a context beside it."""
        self._target = ""
        self._address = ""

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Self]:
        """Know nothing in the block, as with a profile that was just made, and forget it at its end.

        To start a browser takes a second of processor time, as long as to load eight pages.
        """
        former = self._place, self._target, self._address
        context = self._call("Target.createBrowserContext")["browserContextId"]
        self._place, self._target, self._address = {"browserContextId": context}, "", ""
        try:
            yield self
        finally:
            self._place, self._target, self._address = former
            self._call("Target.disposeBrowserContext", browserContextId=context)

    def load(
        self,
        url: str,
        timeout_seconds: float = 30,
        questions: Mapping[str, str] | None = None,
        until: str = "networkIdle",
        emulation: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ) -> Page:
        """Load a page in the tab for pages, until the network has been idle for half a second.

        Or until another event of its life, such as ``load``, for a page that keeps listening.
        Then ask the page questions: expressions, or promises of a value, one after the other.
        ``emulation`` are commands of the protocol that make the tab a phone, say, or Chinese, this time.
        """
        address = url.partition("#")[0]
        if not self._target or address == self._address:
            # To a tab that shows a page already, to go there is another thing than to load it.
            self._close_tab()
            self._target = self._open_tab()
        self._address = address
        session = self._attach(self._target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable", session)
        self._call("Page.setLifecycleEventsEnabled", session, enabled=True)
        for method, parameters in emulation:
            self._call(method, session, **parameters)
        self._events.clear()
        loader = self._call("Page.navigate", session, url=url).get("loaderId")
        page = Page()
        end = time.monotonic() + timeout_seconds
        while not self._note(page, loader, until):
            self._receive(end - time.monotonic())
        page.title = self._evaluate(session, "document.title")
        page.broken_pictures = self._evaluate(
            session,
            "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)",
        )
        for name, expression in (questions or {}).items():
            page.answers[name] = self._evaluate(session, expression)
        self._note(page, loader, until)
        self._call("Target.detachFromTarget", sessionId=session)
        return page

    def close(self) -> None:
        """End the browser and everything that it started."""
        with contextlib.suppress(OSError):
            os.write(self._writing, b'{"id":0,"method":"Browser.close"}\0')
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._writing)
        os.close(self._reading)

    def _open_tab(self) -> str:
        target: str = self._call("Target.createTarget", url="about:blank", **self._place)[
            "targetId"
        ]
        return target

    def _close_tab(self) -> None:
        if self._target:
            self._call("Target.closeTarget", targetId=self._target)
            self._target = ""

    def _attach(self, target: str) -> str:
        told = self._call("Target.attachToTarget", targetId=target, flatten=True)
        session: str = told["sessionId"]
        return session

    def _evaluate(self, session: str, expression: str) -> Any:
        answer = self._call(
            "Runtime.evaluate",
            session,
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        return answer["result"]["value"]

    def _note(self, page: Page, loader: str | None, until: str) -> bool:
        """Take note of the events so far; return whether the page has come to rest."""
        has_come = False
        for event in self._events:
            method, told = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                page.faults.append(json.dumps(told["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and told["type"] in {"error", "assert"}:
                page.faults.append(json.dumps(told["args"]))
            elif method == "Log.entryAdded" and told["entry"]["level"] in {"error", "warning"}:
                page.faults.append(json.dumps(told["entry"]))
            elif method == "Network.loadingFailed" and not told.get("canceled"):
                page.faults.append(json.dumps(told))
            elif method == "Network.responseReceived":
                page.statuses[told["response"]["url"]] = told["response"]["status"]
            elif method == "Page.lifecycleEvent":
                has_come |= told["name"] == until and told["loaderId"] == loader
        self._events.clear()
        return has_come

    def _call(self, method: str, session: str | None = None, /, **parameters: Any) -> Any:
        self._last_number += 1
        message = {"id": self._last_number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + REPLY_SECONDS
        while True:
            for reply in self._receive(end - time.monotonic()):
                if reply["id"] == self._last_number:
                    assert "result" in reply, reply
                    return reply["result"]

    def _receive(self, timeout_seconds: float) -> list[dict[str, Any]]:
        """Wait for messages; keep the events, return the replies."""
        ready, _, _ = select.select([self._reading], [], [], max(0, timeout_seconds))
        assert ready, "the browser says nothing"
        octets = os.read(self._reading, 1024 * 1024)
        assert octets, "the browser is gone"
        *messages, self._octets = (self._octets + octets).split(b"\0")
        replies: list[dict[str, Any]] = []
        for text in messages:
            message = json.loads(text)
            (replies if "id" in message else self._events).append(message)
        return replies


class Tab:
    """A tab that goes from page to page, with the browser's own memory between them."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        self._target = browser._open_tab()
        self._session = browser._attach(self._target)
        for domain in ("Page", "Runtime"):
            browser._call(f"{domain}.enable", self._session)
        browser._call("Page.setLifecycleEventsEnabled", self._session, enabled=True)

    def visit(self, url: str) -> None:
        """Go to an address, as if it were typed."""
        self._go("Page.navigate", url=url, transitionType="typed")

    def follow(self, selector: str) -> None:
        """Click a link."""
        self._go("Runtime.evaluate", expression=f"document.querySelector({selector!r}).click()")

    def reload(self) -> None:
        """Do what the reload button does."""
        self._go("Page.reload")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression on the page."""
        return self._browser._evaluate(self._session, expression)

    def close(self) -> None:
        """Close the tab."""
        self._browser._call("Target.closeTarget", targetId=self._target)

    def _go(self, method: str, **parameters: Any) -> None:
        """Do what leads to another document, and wait until its network has come to rest."""
        browser = self._browser
        former = browser._call("Page.getFrameTree", self._session)["frameTree"]["frame"]["loaderId"]
        browser._events.clear()
        browser._call(method, self._session, **parameters)
        end = time.monotonic() + REPLY_SECONDS
        while not any(
            event["method"] == "Page.lifecycleEvent"
            and event["params"]["name"] == "networkIdle"
            and event["params"]["loaderId"] != former
            for event in browser._events
        ):
            browser._receive(end - time.monotonic())


def _open_pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are not among the first, which the browser needs."""
    reading, writing = os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (reading, writing)]
    os.close(reading)
    os.close(writing)
    return ends[0], ends[1]
