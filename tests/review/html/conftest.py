"""One browser for all tests of the page, and pages opened in it that remember what they complained of."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ctpolicy.review.reports.html import html_report
from ctpolicy.review.review import Review
from kernel.namespace import skip_but_for_ci
from review.html.sizes import middle


@dataclass
class Opened:
    """A page in the browser.

    Args:
        page: to be asked.
        complaints: what came to the console, and errors of scripts.
        requests: addresses that were asked for, or would have been but for the page's policy.
        failed: those of them that were not had, and why.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def evaluate(self, script: str) -> Any:
        """What a script finds in the page."""
        return self.page.evaluate(script)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window. Without its sandbox, which root cannot have: it opens our own pages."""
    program = shutil.which("chromium")
    if program is None:
        skip_but_for_ci("no chromium is installed (tools/install-system-packages installs it)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a review's page from a file, as somebody who downloaded it does; options are those of a browser context."""
    with ExitStack() as stack:
        yield lambda review, **options: stack.enter_context(opening(browser, tmp_path, review, **options))


@pytest.fixture(scope="module")
def shown_middle(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The page of a hundred entries, for tests that only look."""
    with opening(browser, tmp_path_factory.mktemp("middle"), middle()) as shown:
        yield shown


@contextmanager
def opening(
    browser: Browser, folder: Path, review: Review | str, width: int = 1280, **options: Any
) -> Iterator[Opened]:
    """A page of a review, or of this text, until it is left."""
    file = folder / "review.html"
    file.write_text(review if isinstance(review, str) else html_report(review))
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    shown = Opened(context.new_page())
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("dialog", lambda dialog: shown.complaints.append(dialog.message))
    shown.page.on("request", lambda request: shown.requests.append(request.url))
    shown.page.on("requestfailed", lambda request: shown.failed.append((request.url, request.failure or "")))
    shown.page.goto(file.as_uri())
    yield shown
    context.close()
