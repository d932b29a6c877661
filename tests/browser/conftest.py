"""One Chromium for all tests here, and pages that note whatever goes wrong in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from cortex.errors import ConfigError
from tests.browser.chromium import find_chromium
from tests.serving.conftest import Gateway, start

FORECAST = (
    "<think>flow is low, so coins leave the exchanges.</think>"
    '<answer>{"p_up":0.54,"direction":"up","return_pct":1,"interval_pct":[-4,6]}</answer>'
)


@dataclass
class Opened:
    """A page in the browser, and what went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list[str])
    """Errors of its scripts, messages of its console, and requests that failed or went to another host."""

    def violations(self) -> list[str]:
        """Breaches of WCAG's rules and of good practice that axe finds in the page as it is."""
        found: Any = Axe().run(self.page).response["violations"]
        return [f"{rule['id']}: {node['html']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        chromium = find_chromium()
    except ConfigError as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        # Its own sandbox needs namespaces that a container may not have; it opens only this kit's pages.
        started = playwright.chromium.launch(
            executable_path=chromium.program, env=dict(chromium.variables), args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open an address in a fresh context; options are Playwright's, such as `viewport` and `color_scheme`."""
    contexts: list[Any] = []

    def opened(url: str, **options: Any) -> Opened:
        context = browser.new_context(**options)
        contexts.append(context)
        made = Opened(context.new_page())
        made.page.set_default_timeout(10_000)
        made.page.on("pageerror", lambda error: made.faults.append(f"error: {error}"))
        made.page.on("console", lambda message: made.faults.append(f"{message.type}: {message.text}"))
        made.page.on("requestfailed", lambda request: made.faults.append(f"failed: {request.url}"))
        made.page.on("request", lambda request: _note_foreign(made, url, request.url))
        made.page.goto(url)
        return made

    yield opened
    for context in contexts:
        context.close()


def _note_foreign(made: Opened, url: str, asked: str) -> None:
    if asked != url and not asked.startswith(url.partition("?")[0].rstrip("/") + "/"):
        made.faults.append(f"foreign: {asked}")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway without keys, with two models, in front of engines that answer as they are told."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    gateway = start(folder, words=["--long", "--plain", "--also", "skilled"])
    yield gateway
    gateway.process.kill()
    gateway.process.wait()


@pytest.fixture
def gateway(shared: Gateway) -> Gateway:
    """The shared gateway, whose models forecast a rise."""
    shared.tell("")
    for model in ("", "skilled"):
        shared.reply(FORECAST, model)
    return shared
