"""Licences of base models, as the hub names them, and what each asks of a model that was tuned from such a base.

Sources: llama.com's community licence agreements, section 1.b (i) and (iii); ai.google.dev/gemma/terms, section 3.1;
creativecommons.org. No substitute for reading a licence: the table holds what a program can check.
"""

from dataclasses import dataclass

from cortex.errors import ConfigError, RefusedError


@dataclass(frozen=True)
class LicenceTerms:
    """The terms on which a licence lets a tuned model be passed on."""

    prefix: str = ""
    """The beginning of the model's name."""
    notices: tuple[str, ...] = ()
    """Sentences that stand beside the model."""
    gated: bool = False
    """Readers have to accept the terms of use before they get the weights."""
    forbids: str = ""
    """The reason why a tuned model cannot be passed on at all."""


_FREE = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "afl-3.0", "ms-pl", "unlicense", "wtfpl"),
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
)
"""Licences that ask for no more than their name and their text."""
_NO_CHANGES = LicenceTerms(forbids="it allows no changed copies to be passed on")


def _llama(version: str, built: str, prefix: str, title: str, sign: str) -> LicenceTerms:
    notice = (
        f"Llama {version} is licensed under the {title} Community License, Copyright {sign} Meta Platforms, Inc. "
        "All Rights Reserved."
    )
    return LicenceTerms(prefix, (*((built,) if built else ()), notice))


TERMS: dict[str, LicenceTerms] = {
    **dict.fromkeys(_FREE, LicenceTerms()),
    "cc-by-nd-4.0": _NO_CHANGES,
    "cc-by-nc-nd-4.0": _NO_CHANGES,
    "llama2": _llama("2", "", "", "LLAMA 2", "(c)"),
    "llama3": LicenceTerms(
        "Llama-3",
        (
            "Built with Meta Llama 3",
            "Meta Llama 3 is licensed under the Meta Llama 3 Community License, Copyright © Meta Platforms, Inc. "
            "All Rights Reserved.",
        ),
    ),
    **{
        f"llama{version}": _llama(version, "Built with Llama", "Llama", f"Llama {version}", "©")
        for version in ("3.1", "3.2", "3.3", "4")
    },
    "gemma": LicenceTerms(
        notices=("Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",),
        gated=True,
    ),
}
"""The licences that the kit knows, by the hub's identifier."""


def notices_of(licence: str) -> tuple[str, ...]:
    """The sentences that a licence asks for beside a tuned model; none for one that the kit does not know."""
    return TERMS[licence].notices if licence in TERMS else ()


def require_licence(licence: str, *, base: str | None, stated: str | None, named: str | None) -> LicenceTerms:
    """The terms that a release's licence asks for, if it is certain which licence that is.

    `licence` is the card's, `stated` what the hub says of the base (None: nothing), `named` what the user says.

    Raises:
        ConfigError: the base is under another licence than the card says.
        RefusedError: it is unknown, and the user does not name it; or it forbids what was asked.
    """
    if named is not None and named != licence:
        raise ConfigError(
            f"--license is {named}, and the release's card says {licence}: set model.licence in a new run's profile"
        )
    if base is not None and named is None:
        if stated is None:
            raise RefusedError(
                f"the hub states no licence of the base {base}: read its terms, and if they are those of {licence}, "
                f"add --license {licence}"
            )
        if stated != licence:
            raise ConfigError(
                f"the hub states {stated} for the base {base}, and the release's card says {licence}: set "
                f"model.licence to {stated} in a new run's profile, or, if the card is right, add --license {licence}"
            )
    if licence not in TERMS and named is None:
        raise RefusedError(f"the kit does not know the licence {licence}: read it, then add --license {licence}")
    terms = TERMS.get(licence, LicenceTerms())
    if base is not None and terms.forbids:
        raise RefusedError(f"the licence {licence} of the base {base} forbids a publication: {terms.forbids}")
    return terms if base is not None else LicenceTerms()


def require_terms(terms: LicenceTerms, licence: str, *, repository: str, card: str, open_to_all: bool) -> None:
    """Return if a publication keeps to the terms of its base's licence.

    A private repository has to keep to them, too, since it becomes a public one by one click.

    Raises:
        ConfigError: the repository's name or access is not what the licence asks for, or the card lacks its notices.
    """
    name = repository.rpartition("/")[2]
    if not name.casefold().startswith(terms.prefix.casefold()):
        raise ConfigError(
            f"{repository}: the licence {licence} asks that the name begin with {terms.prefix}: name it "
            f"{terms.prefix}-{name}"
        )
    if terms.gated and open_to_all:
        raise ConfigError(
            f"{repository}: the licence {licence} asks that users accept its terms: --visibility gated, or private"
        )
    for notice in terms.notices:
        if notice not in card:
            raise ConfigError(
                f"the card of the release lacks {notice!r}, which the licence {licence} asks for: earlier versions of "
                "the kit wrote no notices; run the release stage again in a new run"
            )
