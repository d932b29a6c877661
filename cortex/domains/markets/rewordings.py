"""Other wordings of a market's question, which ask for the same."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from cortex.domains.markets.bars import DAY
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.prompt_sheet import Entry, Sheet
from cortex.domains.markets.protocol import instructions

_OTHER = """\
Below is what is known of one asset. Judge how its price will move over the horizon that is named. Write your thoughts \
first, between <think> and </think>, one step after the other, and use no number that is not below. End with a single \
JSON object between <answer> and </answer>. Its keys: "p_up", how probable a rise is (0 to 1{unchanged}); "direction", \
"up" or "down", the likelier of the two; "return_pct", the return that you expect, in percent; "interval_pct", [low, \
high], between which the return lies with 90% probability, in percent."""


def rewordings(sheet: Sheet, config: DataConfig) -> dict[str, str]:
    """The prompts by what is different; only those that differ from the sheet's own."""
    found = {"the features in another order": sheet.with_entries(sheet.entries[::-1]).text()}
    if sheet.style == "full":
        unchanged = "" if config.bar == DAY else ", no change counting as half a rise"
        asked = sheet.head.replace(instructions(config), _OTHER.format(unchanged=unchanged))
        found["other words"] = replace(sheet, head=asked.replace("Known at the decision:", "Data so far:")).text()
        found["other units"] = sheet.with_entries([_in_basis_points(entry) for entry in sheet.entries]).text()
    else:
        found["a line for each feature"] = sheet.text().replace(" ", "\n")
    return {variant: text for variant, text in found.items() if text != sheet.text()}


def _in_basis_points(entry: Entry) -> Entry:
    """A feature in percent as basis points; others as they are."""
    if not entry.label.endswith(", percent"):
        return entry
    try:
        value = 100 * Decimal(entry.value)
    except InvalidOperation:
        return entry
    return Entry(entry.name, entry.label.removesuffix("percent") + "basis points", f"{value.normalize():f}")
