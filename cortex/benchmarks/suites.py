"""Published benchmarks by short names, and the tasks of lm-eval that each consists of.

All of them have answers that are written out, so that chat servers can be asked, which report no probabilities of given
answers.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """A benchmark: its questions count alike, whichever task they belong to."""

    name: str
    tasks: tuple[str, ...]
    """Names of lm-eval's tasks or groups."""
    metric: str | None = None
    """Metric of a question's score, from 0 to 1 and better when higher; None takes the task's first."""
    filter: str | None = None
    """Way to read the answer out of a reply; None takes the task's first."""


_FINANCE = (
    "econometrics",
    "high_school_macroeconomics",
    "high_school_microeconomics",
    "professional_accounting",
    "business_ethics",
    "management",
    "marketing",
)

SUITES = {
    suite.name: suite
    for suite in (
        Suite("finance", tuple(f"mmlu_{subject}_generative" for subject in _FINANCE), "exact_match", "get_response"),
        Suite("bbh", ("bbh_cot_fewshot",), "exact_match", "get-answer"),
        # The other reading, strict-match, takes an answer after `####` alone, and scores the form of a reply.
        Suite("gsm8k", ("gsm8k",), "exact_match", "flexible-extract"),
    )
}
"""MMLU's subjects of finance and economics (Hendrycks et al. 2021), BIG-Bench Hard with worked examples (Suzgun et al.
2022), and grade-school maths (Cobbe et al. 2021)."""


def read_suite(name: str) -> Suite:
    """A suite by its short name, or one of lm-eval's own tasks or groups."""
    return SUITES.get(name) or Suite(name, (name,))
