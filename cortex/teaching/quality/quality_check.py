"""The check of answers by a profile's rules, after the domain's own: accepted, flagged or rejected, with reasons."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cortex.domains.dataset_score import score_answer
from cortex.domains.label_finding import Finding
from cortex.domains.question import Question
from cortex.teaching.quality.arithmetic import wrong_equations
from cortex.teaching.quality.contradiction import contradiction
from cortex.teaching.quality.hindsight import hindsight_signs
from cortex.teaching.quality.language import foreign_passages
from cortex.teaching.quality.near_duplicates import NearDuplicates
from cortex.text import harmless

_QUOTED = 200
"""Maximum characters of a quotation in a reason."""
FOREIGN_SHARE = 0.05
"""Share of letters of other alphabets from which on an answer is flagged: names and symbols stay below."""
OTHER_LANGUAGE = 0.1
"""Share of letters in passages of other languages from which on an answer is flagged: a quotation stays below."""


@dataclass(frozen=True)
class QualityRules:
    """Rules of a profile; the defaults check arithmetic, hindsight and contradictions alone."""

    min_words: int = 0
    max_words: int | None = None
    banned: tuple[str, ...] = ()
    alphabet: str | None = None
    """First word of the Unicode names of allowed letters, such as LATIN; None allows all."""
    arithmetic: bool = True
    hindsight: bool = True
    contradiction: bool = True
    language: str | None = None
    """Code of the language by ISO 639-1; None allows all."""
    similarity: float | None = None
    min_score: float | None = None


class QualityCheck:
    """Checks answers one after another: each is compared with those before, too."""

    def __init__(self, rules: QualityRules) -> None:
        self._rules = rules
        self._earlier = NearDuplicates()
        words = "|".join(re.escape(word) for word in rules.banned)
        self._banned = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def check(self, question: Question, answer: str, domain_finding: Finding) -> Finding:
        """The worse of the domain's finding and this check's, with the reasons of both."""
        if domain_finding.grade == "rejected":
            return domain_finding
        rejected = [harmless(reason, limit=_QUOTED) for reason in self._reject(answer)]
        flagged = [harmless(reason, limit=_QUOTED) for reason in self._flag(question, answer)]
        grade = "rejected" if rejected else "flagged" if flagged else domain_finding.grade
        return Finding(grade, (*domain_finding.reasons, *rejected, *flagged))

    def _reject(self, answer: str) -> Iterator[str]:
        rules = self._rules
        if self._banned and (found := self._banned.findall(answer)):
            yield f"banned: {_listed(found)}"
        if rules.arithmetic and (wrong := wrong_equations(answer)):
            yield f"arithmetic: {_listed(wrong)}"

    def _flag(self, question: Question, answer: str) -> Iterator[str]:
        rules = self._rules
        words = len(answer.split())
        if words < rules.min_words:
            yield f"short: {words} words"
        if rules.max_words is not None and words > rules.max_words:
            yield f"long: {words} words"
        if rules.alphabet and (share := _foreign_share(answer, rules.alphabet)) > FOREIGN_SHARE:
            yield f"alphabet: {share:.0%} of the letters are not {rules.alphabet.lower()}"
        if rules.language and (other := foreign_passages(answer, rules.language)) and other[1] > OTHER_LANGUAGE:
            yield f"language: {other[1]:.0%} of the letters are not in {rules.language}, most of them in {other[0]}"
        if rules.contradiction and (pair := contradiction(answer)):
            yield f"contradiction: the reasoning concludes {pair[0]!r}, and the answer is {pair[1]!r}"
        prompt = "\n".join(message.content for message in question.messages)
        if rules.hindsight and (signs := hindsight_signs(prompt, answer)):
            yield f"hindsight: {_listed(signs)}"
        if rules.similarity is not None:
            found = self._earlier.nearest(question.id, answer)
            if found and found[1] >= rules.similarity:
                yield f"similar: {found[1]:.0%} the same as {found[0]}"
        if rules.min_score is not None and (score := score_answer(prompt, answer)).total < rules.min_score:
            yield (
                f"score: {score.total:.2f} (quality {score.quality:.2f}, bias {score.bias:.2f}, "
                f"reasoning {score.reasoning:.2f})"
            )


def _listed(found: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(each.strip().lower() for each in found))


def _foreign_share(text: str, alphabet: str) -> float:
    letters = [letter for letter in text if letter.isalpha()]
    foreign = sum(not letter.isascii() and not unicodedata.name(letter, "").startswith(alphabet) for letter in letters)
    return foreign / len(letters) if letters else 0.0
