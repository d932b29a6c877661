"""The sources of a market's dataset: whose data they are, on what terms, and what they cannot show."""

from collections.abc import Callable, Mapping
from typing import Any

from cortex.domains.data_words import DataWords, SourceTerms, unknown_terms

_COLUMNS = {
    "symbol": "the asset or pair",
    "outcome": "the return over the horizon, as a fraction: the truth, known at `outcome_time`",
    "outcome_time": "the time at which the outcome was known (UTC)",
    "oracle_p_up": "the best probability of a rise, where it is known: of a simulated market",
    "oracle_return": "the best expected return, where it is known",
}
"""Meanings of a market's own columns, besides its features."""

_TODAY = (
    "Assets are those that the source, or the profile, names today. Assets that were delisted or failed before are "
    "likely to be missing, so that returns look better than they were (survivorship)."
)
_REVISED = "Metrics are as the source stated them when they were pulled: values that it revised before look ahead."
_TERMS = "The terms of use for {0} of {1} apply; read them before you share the dataset: they may forbid it."

Told = tuple[tuple[SourceTerms, ...], tuple[str, ...]]
"""Sources, and the limits that follow from them."""


def market_words(source: Mapping[str, Any], features: list[dict[str, str]]) -> DataWords:
    """The words for the card of a market's dataset. `source` and `features` are those of its description."""
    own = {item["name"]: f"{item['label']}, {_unit(item['unit'])}" for item in features}
    sources, limits = _sources(source)
    return DataWords(
        what="An example asks for a forecast of a return over a horizon, by what was known at the decision.",
        sources=sources,
        columns=_COLUMNS | own,
        limits=(
            *limits,
            "All symbols of a date share one market: the number of dates, not of examples, says how much can be shown.",
        ),
        tags=("finance", "forecasting"),
    )


def _sources(source: Mapping[str, Any]) -> Told:
    name = str(source.get("name"))
    if name == "flipside" and isinstance(source.get("warehouse"), dict):
        inner, limits = _sources(source["warehouse"])
        return inner, (*limits, "Its rows passed through a local stand-in for Flipside's service.")
    return _BY_NAME[name](source) if name in _BY_NAME else ((unknown_terms(source),), ())


def _simulated(_: Mapping[str, Any]) -> Told:
    return (SourceTerms("simulator", "Made up by a program from its seed; nobody else has rights in it."),), ()


def _files(_: Mapping[str, Any]) -> Told:
    terms = "Files of the user's own. Their owner's terms apply, and are not known here."
    return (SourceTerms("files", terms),), (_TODAY, _REVISED)


def _ecb(source: Mapping[str, Any]) -> Told:
    terms = (
        f"{source.get('credit')}. The European Central Bank allows reuse, also commercially, if the source is named; "
        "crosses without the euro are calculated from its rates. They are for information, not for transactions."
    )
    limits = ("A rate is one fixing of a working day: nobody could trade at it.",)
    planted = ("Directions were drawn anew with a planted signal.",) if source.get("signal") else ()
    return (SourceTerms("European Central Bank, euro reference rates", terms),), limits + planted


def _public(source: Mapping[str, Any]) -> Told:
    found = [SourceTerms(f"{source.get('exchange')}, by ccxt", _TERMS.format("market data", "the exchange"))]
    if source.get("metrics"):
        found.append(SourceTerms("DefiLlama", _TERMS.format("figures", "DefiLlama")))
    return tuple(found), (_TODAY, _REVISED)


def _service(source: Mapping[str, Any]) -> Told:
    service = str(source["name"]).capitalize()
    return (SourceTerms(service, _TERMS.format("data", service)),), (_TODAY, _REVISED)


_BY_NAME: Mapping[str, Callable[[Mapping[str, Any]], Told]] = {
    "simulator": _simulated,
    "files": _files,
    "ecb": _ecb,
    "public": _public,
    "flipside": _service,
    "dune": _service,
}


def _unit(unit: str) -> str:
    return "standard deviations from its recent mean" if unit == "z" else "percent"
