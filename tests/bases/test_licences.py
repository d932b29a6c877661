import pytest

from cortex.bases.licences import TERMS, LicenceTerms, notices_of, require_licence, require_terms
from cortex.errors import ConfigError, CortexError, RefusedError
from cortex.profiles.profile_file import load_profile

BASE = "acme/base"


@pytest.mark.parametrize(
    ("licence", "base", "stated", "named"),
    [
        ("apache-2.0", None, None, None),
        ("apache-2.0", BASE, "apache-2.0", None),
        ("apache-2.0", BASE, None, "apache-2.0"),
        ("acme-terms", BASE, "acme-terms", "acme-terms"),
        ("mit", BASE, "other", "mit"),
    ],
)
def test_a_licence_that_is_certain_is_taken(
    licence: str, base: str | None, stated: str | None, named: str | None
) -> None:
    assert require_licence(licence, base=base, stated=stated, named=named) == LicenceTerms()


@pytest.mark.parametrize(
    ("licence", "base", "stated", "named", "kind", "said"),
    [
        ("apache-2.0", BASE, None, None, RefusedError, "states no licence of the base acme/base.*--license apache-2.0"),
        ("apache-2.0", BASE, "gemma", None, ConfigError, "states gemma .* card says apache-2.0"),
        ("apache-2.0", BASE, "gemma", "gemma", ConfigError, "--license is gemma, and the release's card says apache"),
        ("acme-terms", BASE, "acme-terms", None, RefusedError, "does not know the licence acme-terms"),
        ("acme-terms", None, None, None, RefusedError, "does not know the licence acme-terms"),
        ("cc-by-nd-4.0", BASE, "cc-by-nd-4.0", "cc-by-nd-4.0", RefusedError, "forbids a publication"),
    ],
)
def test_any_other_is_refused_with_the_fix(
    licence: str, base: str | None, stated: str | None, named: str | None, kind: type[CortexError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        require_licence(licence, base=base, stated=stated, named=named)


@pytest.mark.parametrize(
    ("licence", "repository", "open_to_all", "said"),
    [
        ("llama3.1", "ada/my-model", False, "name it Llama-my-model"),
        ("llama3", "ada/Llama-my-model", False, "name it Llama-3-Llama-my-model"),
        ("gemma", "ada/my-model", True, "--visibility gated, or private"),
    ],
)
def test_names_and_gates_are_asked_for(licence: str, repository: str, open_to_all: bool, said: str) -> None:
    card = "\n".join(notices_of(licence))
    with pytest.raises(ConfigError, match=said):
        require_terms(TERMS[licence], licence, repository=repository, card=card, open_to_all=open_to_all)


@pytest.mark.parametrize("licence", sorted(TERMS))
def test_a_card_without_a_notice_is_refused(licence: str) -> None:
    terms = TERMS[licence]
    for notice in terms.notices:
        others = "\n".join(set(terms.notices) - {notice})
        with pytest.raises(ConfigError, match="the card of the release lacks"):
            require_terms(terms, licence, repository="a/Llama-3-x", card=others, open_to_all=False)
    whole = "\n".join(terms.notices)
    require_terms(terms, licence, repository="a/llama-3-x", card=whole, open_to_all=not terms.gated)


@pytest.mark.parametrize("profile", ["cortex-8b", "cortex-70b"])
def test_shipped_profiles_name_licences_that_the_kit_knows(profile: str) -> None:
    model = load_profile(profile).model
    assert model.base and "llama" in model.base.lower() and notices_of(model.licence)[0] == "Built with Llama"
