"""The gateway's page in a browser: by keyboard, on a phone, in the dark, and with a model that writes markup."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cortex.artifacts.open_store import open_store
from cortex.serving.api_keys import make_key, write_key
from tests.browser.conftest import FORECAST, Opened
from tests.serving.conftest import Gateway, start

Visit = Callable[..., Opened]
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    "<a href='javascript:void'>here</a> {{ }} `${document.title='taken'}`"
)
UNSEEN = "\x1b[31m \u202eesrever"


def address(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.port}"


def ask(page: Page, symbol: str = "NEAR", date: str = "2020-07-01") -> None:
    page.get_by_label("Symbol").select_option(symbol)
    page.get_by_label("Date").fill(date)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer-title")).to_be_focused()


def test_a_forecast_is_made_by_the_keyboard_alone(gateway: Gateway, visit: Visit) -> None:
    opened = visit(address(gateway))
    page, keys = opened.page, opened.page.keyboard
    expect(page.get_by_label("Domain")).to_be_visible()
    for name, typed in (("domain", ""), ("field-symbol", "N"), ("field-date", "07012020")):
        keys.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
        keys.type(typed)
    while page.evaluate("document.activeElement.type") != "submit":  # a date has a button of its own
        keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#answer-title")).to_be_focused()
    expect(page.get_by_role("heading", level=2)).to_have_text("NEAR-2020-07-01")
    expect(page.get_by_role("status")).to_have_text("The model has answered.")
    expect(page.locator(".facts")).to_contain_text("54%")
    expect(page.locator(".facts")).to_contain_text("-4.00% to +6.00%")
    expect(page.locator("pre")).to_have_text("flow is low, so coins leave the exchanges.")
    assert json.loads(gateway.asked[-1])["asked"]["messages"][0]["content"].startswith("NEAR 1d ")
    assert opened.faults == []


def test_the_verdict_and_the_record_are_said_plainly(gateway: Gateway, visit: Visit) -> None:
    page = visit(address(gateway)).page
    ask(page)
    expect(page.locator(".verdict")).to_contain_text("Skill not shown")
    expect(page.locator("#answer")).to_contain_text("The model was trained on data up to 2020-")
    rows = page.locator(".record tbody tr")
    expect(rows.first).to_contain_text("Rose, of test forecasts that stated 51% to 57%")
    expect(rows.first).to_contain_text("43% to 69%")
    expect(rows.nth(1)).to_contain_text("Rose, of all test forecasts")
    gateway.reply(FORECAST.replace("0.54", "0.95"))
    ask(page)
    expect(rows.first).to_contain_text("the model stated no probability near 95% in the test")
    page.get_by_label("Domain").select_option("markets, skilled")
    ask(page)
    expect(page.locator(".verdict.shown")).to_contain_text("Skill shown")


def test_the_chart_has_the_interval_and_a_table_that_says_the_same(gateway: Gateway, visit: Visit) -> None:
    page = visit(address(gateway)).page
    ask(page)
    drawing = page.get_by_role("img", name="Closes of NEAR, and the 90% interval after 1 day")
    expect(drawing.locator(".fan")).to_have_count(1)
    points = str(drawing.locator(".line").get_attribute("points")).split()
    page.get_by_text("The chart as a table").click()
    cells = page.locator("figure tbody tr").all_inner_texts()
    assert len(cells) == len(points) + 2 and cells[2].startswith("2020-07-01")
    last = float(cells[2].split()[1])
    low, high = (float(word) for word in cells[0].split("\t")[1].split(" to "))
    assert (low / last - 1, high / last - 1) == pytest.approx((-0.04, 0.06), abs=1e-4)


def test_an_answer_that_is_held_back_shows_its_reason_and_no_forecast(gateway: Gateway, visit: Visit) -> None:
    gateway.reply(FORECAST.replace("flow is low", "inflation is 7.31 percent"))
    opened = visit(address(gateway))
    ask(opened.page)
    expect(opened.page.get_by_role("status")).to_have_text("The model's answer is held back.")
    expect(opened.page.locator(".held")).to_contain_text("7.31")
    expect(opened.page.locator(".facts, .fan, pre")).to_have_count(0)
    expect(opened.page.locator(".line")).to_have_count(1)
    assert opened.violations() == [] and opened.faults == []


def test_a_model_that_writes_markup_is_shown_as_text(gateway: Gateway, visit: Visit) -> None:
    gateway.reply(FORECAST.replace("flow is low", HOSTILE))
    opened = visit(address(gateway))
    ask(opened.page)
    expect(opened.page.locator("pre")).to_contain_text("<img src=x onerror=")
    assert opened.page.locator("#answer :is(img, script, a)").count() == 0
    assert opened.page.title() == "Ask the model" and opened.faults == []


def test_what_people_would_not_see_is_held_back_from_a_forecast_and_written_out_elsewhere(
    gateway: Gateway, visit: Visit
) -> None:
    gateway.reply(FORECAST.replace("flow is low", UNSEEN))
    opened = visit(address(gateway))
    ask(opened.page)
    expect(opened.page.locator(".held")).to_contain_text("a hidden character, U+001B")
    expect(opened.page.locator(".facts, .fan, pre")).to_have_count(0)
    gateway.reply(UNSEEN)
    opened.page.get_by_label("Domain").select_option("riddles, rehearsal")
    opened.page.get_by_label("Question").fill("What gets wetter as it dries?")
    opened.page.get_by_role("button", name="Ask").click()
    expect(opened.page.locator("#answer")).to_contain_text("\\u001b[31m \\u202eesrever")
    assert opened.faults == []


def test_the_page_runs_no_script_but_its_own(gateway: Gateway, visit: Visit) -> None:
    opened = visit(address(gateway))
    opened.page.evaluate(
        "() => { const made = document.createElement('script'); made.textContent = 'window.taken = true';"
        " document.body.append(made); }"
    )
    assert opened.page.evaluate("window.taken") is None
    assert any("Content Security Policy" in fault for fault in opened.faults)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1100])
def test_it_is_accessible_and_fits(gateway: Gateway, visit: Visit, scheme: str, width: int) -> None:
    opened = visit(address(gateway), viewport={"width": width, "height": 800}, color_scheme=scheme)
    ask(opened.page)
    opened.page.get_by_text("The chart as a table").click()
    assert opened.violations() == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    expect(opened.page.locator(".chart text").first).to_have_css("font-size", "12px")
    assert opened.faults == []


def test_a_plain_domain_takes_a_text_and_an_error_is_announced(gateway: Gateway, visit: Visit) -> None:
    gateway.reply("A towel.\n<b>Dry</b>")
    opened = visit(address(gateway))
    opened.page.get_by_label("Domain").select_option("riddles, rehearsal")
    opened.page.get_by_label("Question").fill("What gets wetter as it dries?")
    opened.page.get_by_role("button", name="Ask").click()
    expect(opened.page.get_by_role("heading", level=2)).to_have_text("The answer")
    expect(opened.page.locator("#answer")).to_contain_text("A towel.\n<b>Dry</b>")
    assert opened.violations() == [] and opened.faults == []
    gateway.tell("status 500")
    opened.page.get_by_role("button", name="Ask").click()
    expect(opened.page.get_by_role("alert")).to_have_text("the engine answered with 500: ask again (in 1 s)")
    expect(opened.page.locator("#answer")).to_be_hidden()


def test_a_key_is_asked_for_and_kept_in_the_tab_alone(visit: Visit, tmp_path: Path) -> None:
    text, record = make_key("ada", ("domains",), 100, NOW)
    write_key(open_store(str(tmp_path / "bucket")), record)
    folder = tmp_path / "gateway"
    folder.mkdir()
    gateway = start(folder, bucket=tmp_path / "bucket")
    try:
        opened = visit(address(gateway))
        page, key = opened.page, opened.page.get_by_label("API key")
        expect(key).to_be_focused()
        assert opened.violations() == []
        key.fill(text[:-1])
        key.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This API key does not count.")
        key.fill(text)
        key.press("Enter")
        gateway.reply(FORECAST)
        ask(page)
        assert page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]
        assert text not in page.content() and text not in gateway.said()
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_label("API key")).to_be_focused()
        assert page.evaluate("sessionStorage.length") == 0
        assert {fault.partition("(")[2] for fault in opened.faults} == {"Unauthorized)"}
    finally:
        gateway.process.kill()
        gateway.process.wait()
