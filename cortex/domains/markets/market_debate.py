"""A debate about a forecast: a bull and a bear state their cases, and a risk role weighs them and has the last word."""

from collections.abc import Mapping

from cortex.domains.debate import Debate
from cortex.domains.markets.protocol import Answer, ProtocolError, parse_answer, render_answer
from cortex.domains.question import Conversation, Question

_CASES = {
    "bull": "In a debate about this forecast, you are the bull. Make the strongest case for a rise that these numbers "
    "allow, then state your forecast in the same form.",
    "bear": "In a debate about this forecast, you are the bear. Make the strongest case for a fall that these numbers "
    "allow, then state your forecast in the same form.",
}
_RISK = (
    "In a debate about this forecast, you answer for the risk. Weigh what was said against these numbers, trust nobody "
    "further than they reach, and state the final forecast in the same form."
)


class MarketDebate(Debate):
    """The roles bull, bear and risk, told at the end of the question: not all models take a system turn."""

    def begin(self, question: Question) -> dict[str, Conversation]:
        return {role: _told(question, case) for role, case in _CASES.items()}

    def close(self, question: Question, said: Mapping[str, str]) -> Conversation:
        cases = [_case(role, answer) for role, reply in said.items() if (answer := _read(reply))]
        return _told(question, "\n\n".join([*cases, _RISK]))

    def conclude(self, said: Mapping[str, str], last: str) -> str:
        """The risk's reply; where it cannot be read, the mean of the others' forecasts."""
        answers = [answer for reply in said.values() if (answer := _read(reply))]
        return last if _read(last) or not answers else render_answer(_mean(answers))


def _told(question: Question, text: str) -> Conversation:
    *before, asked = question.messages
    return (*before, asked._replace(content=f"{asked.content}\n\n{text}"))


def _read(reply: str) -> Answer | None:
    try:
        return parse_answer(reply)
    except ProtocolError:
        return None


def _case(role: str, answer: Answer) -> str:
    return (
        f"The {role} says: {answer.reasoning}\nThe {role}'s forecast: p_up {answer.p_up:g}, return "
        f"{answer.return_pct:g} percent, 90% interval {answer.low_pct:g} to {answer.high_pct:g} percent."
    )


def _mean(answers: list[Answer]) -> Answer:
    count = len(answers)
    p_up = round(sum(answer.p_up for answer in answers) / count, 4)
    return Answer(
        reasoning="The risk role gave no forecast that can be read. This is the mean of the others.",
        p_up=p_up,
        direction="up" if p_up >= 0.5 else "down",
        return_pct=sum(answer.return_pct for answer in answers) / count,
        low_pct=sum(answer.low_pct for answer in answers) / count,
        high_pct=sum(answer.high_pct for answer in answers) / count,
    )
