"""Chat as a domain: conversations of several turns, whose own replies are the labels."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from cortex.domains.chat.chat_config import ConversationFiles, ConversationSource, GeneratedTalks, TalkFilter
from cortex.domains.data_words import DataWords, SourceTerms, unknown_terms
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.label_finding import Finding
from cortex.domains.question import Conversation, Example, Question
from cortex.domains.reward_parts import RewardPart
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure, Scale
from cortex.section import Items
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.evaluation.chapter import Chapter
    from cortex.evaluation.study import Study

# Each method imports what it needs: reading a profile must not take the time of importing polars or datasketch.

_BUILDING = threading.Lock()
"""Requests to a scripted teacher come at the same time, and only the first may build the conversations."""


def share_right(grades: Grades) -> float:
    """The share of right replies, of those that are to name something; 0 where none is."""
    asked = grades.values("asked").sum()
    return float(grades.values("right").sum() / asked) if asked else 0.0


class Chat(Domain):
    """Conversations from files, or generated ones."""

    kind: Literal["chat"] = "chat"
    """Names this domain."""
    source: ConversationSource = Field(default=GeneratedTalks(), discriminator="kind")
    """Origin of the conversations: files, or templates."""
    problems: Literal["refuse", "drop"] = "refuse"
    """At a faulty record end with its file and line (`refuse`), or leave faulty ones out and count them (`drop`)."""
    max_words: int = Field(default=6000, ge=8)
    """Most words of a conversation; longer ones are faulty. SFT drops what is longer than its tokens, too."""
    similar: float = Field(default=0.8, gt=0, le=1)
    """Share of three-word sequences in common with an earlier conversation from which on one is a copy, and left
    out."""
    banned: Items[str] = ()
    """Words and phrases that no reply may have, in any case: such replies are worth nothing."""
    filter: TalkFilter = TalkFilter()
    """The conversations to keep."""
    judged: Literal["every", "last"] = "every"
    """The replies of a held-out conversation that a model is judged by."""

    scale: ClassVar[Scale] = Scale(
        loss="error",
        skill="skill",
        clusters="conversations",
        reference="usual",
        rivals=("nearest",),
        replies="replies",
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("overlap", "Words in common", of="overlap"),
        Measure("right", "Right where asked", form=".1%", compute=share_right, has_interval=False),
        # No interval: the bootstrap has none for a share of 0, and the page's chapter has an exact one.
        Measure("banned", "Replies with banned words", of="banned", form=".2%", has_interval=False),
    )

    _answers: dict[int, dict[tuple[str, ...], str]] = PrivateAttr(default_factory=dict)
    """The data's replies by conversation, for each seed that a scripted teacher was asked with."""

    def check(self, settings: Settings) -> None:
        from cortex.domains.chat.conversation_files import list_conversation_files

        if isinstance(self.source, ConversationFiles):
            list_conversation_files(self.source.paths)

    def files(self) -> tuple[Path, ...]:
        return self.source.paths if isinstance(self.source, ConversationFiles) else ()

    def build(self, seed: int, settings: Settings) -> Built:
        from cortex.domains.chat.build_talks import BuildRules, build_talks

        rules = BuildRules(
            self.source, self.problems, self.max_words, self.similar, self.banned, self.filter, self.judged
        )
        return build_talks(rules, seed)

    def own_reply(self, example: Example) -> str:
        from cortex.domains.chat.talk_examples import Wanted

        return Wanted.of(example).reply

    def grade(self, example: Example, reply: str) -> Graded:
        from cortex.domains.chat.reply_grading import grade_reply

        return grade_reply(example, reply, self.banned)

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return (
            RewardPart(
                "reply",
                1.0,
                "1 for a reply that says what the data asks for and 0 for another; where it asks for nothing, the F1 "
                "of words in common with the data's own reply",
                elicits="the reply that is likeliest the data's",
            ),
            RewardPart("banned", 1.0, "1 for a reply with a banned word, else 0", penalty=True),
        )

    def honest_reply(self, question: Question, believed: Sequence[tuple[Example, float]]) -> str:
        from cortex.domains.chat.believed_reply import believed_reply

        return believed_reply(believed, self.banned)

    def imitable(self, question: Question, reply: str) -> Finding:
        from cortex.domains.chat.talk_scores import banned_pattern

        pattern = banned_pattern(self.banned) if self.filter.banned else None
        if not reply.strip():
            return Finding("rejected", ("empty",))
        if pattern and (found := pattern.search(reply)):
            return Finding("rejected", (f"banned: {found.group().casefold()}",))
        return Finding("accepted")

    def script(self, question: Question, seed: int) -> str:
        return self._known(seed).get(_spoken(question.messages), "i do not know.")

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.chat.talk_examples import every_reply
        from cortex.domains.chat.usual_replies import nearest_replies, usual_reply
        from cortex.domains.example_columns import read_rows

        known, asked = list(every_reply(train)), list(read_rows(test))
        usual = usual_reply(known, list(read_rows(train)), self.grade)
        nearest = nearest_replies(known, [example.text for example in asked])
        return {
            "usual": [self.grade(example, usual) for example in asked],
            "nearest": [self.grade(example, reply) for example, reply in zip(asked, nearest, strict=True)],
        }

    def exemplars(self, example: Example) -> Exemplars | None:
        from cortex.domains.chat.talk_examples import Wanted

        # The data's own reply may be wrong, or rude.
        right = (self.own_reply(example), " and ".join(Wanted.of(example).expect))
        gold = next((reply for reply in right if not self.grade(example, reply).loss), None)
        if gold is None:
            return None
        gaming = {
            "nothing": "",
            "the question again": example.text,
            "all words twice": f"{example.text} {gold} " * 6,
        }
        return Exemplars(gold, gaming={name: text for name, text in gaming.items() if text != gold})

    def truth_words(self, example: Example) -> str:
        from cortex.domains.chat.talk_examples import Wanted

        wanted = Wanted.of(example)
        said = f", and a right one says {', '.join(wanted.expect)}" if wanted.expect else ""
        return f"the data replies {wanted.reply!r}{said}"

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        from cortex.domains.chat.talk_examples import every_reply

        return {
            "training conversations": f"{train.height:,}, with {sum(1 for _ in every_reply(train)):,} replies",
            "held-out conversations": f"{test['cluster'].n_unique():,}, none a near copy of another",
            **({"banned": ", ".join(self.banned)} if self.banned else {}),
        }

    def chapters(self, study: "Study", train: "pl.DataFrame", test: "pl.DataFrame") -> "list[Chapter]":
        from cortex.domains.chat.chat_chapters import chat_chapters

        return chat_chapters(study, train, self.banned)

    def notes(self) -> tuple[str, ...]:
        return (
            "The error is 1 less the worth of a reply. Where the data says what a right reply names, it is worth 1 or "
            "0. Elsewhere its worth is the F1 of words in common with the data's own reply: a good one in other words "
            "loses, and a bad one in the same words does not. It says that a model talks like the data, not that "
            "people would like its replies: for that ask a judge model (cortex rubric), or people.",
            "`usual` says one training reply to everything, the one that earns most; `nearest` repeats the reply to "
            "the training turn with the most similar words.",
            "Whole conversations are in one split, and near copies of one another were removed before.",
        )

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        what = "An example is a conversation, and the reply that it goes on with."
        if described["source"].get("name") == "generated":
            return DataWords(what, (SourceTerms("generated small talk", "Made by templates; no text of others."),))
        return DataWords(what, (unknown_terms(described["source"]),))

    def card(self) -> CardWords:
        return CardWords(
            what="goes on with conversations like those of its training data.",
            task="Conversation",
            dataset_type="conversations",
            tags=("chat",),
            limits=(
                "It was judged by words in common with held-out replies, and by rules for words; nobody judged whether "
                "its replies are helpful, true or harmless.",
            ),
        )

    def small(self) -> Self:
        return type(self)(source=GeneratedTalks(talks=400))

    def _known(self, seed: int) -> Mapping[tuple[str, ...], str]:
        """The data's replies: a script has no other way to go on with a conversation of a file."""
        from cortex.domains.example_columns import read_rows

        with _BUILDING:
            if seed not in self._answers:
                rows = read_rows(self.build(seed, Settings()).examples)
                self._answers[seed] = {_spoken(example.messages): self.own_reply(example) for example in rows}
        return self._answers[seed]


def _spoken(messages: Conversation) -> tuple[str, ...]:
    return tuple(message.content for message in messages)
