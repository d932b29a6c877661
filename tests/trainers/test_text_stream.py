"""Streams of text in memory: mixed by weight, packed without a rest, and continued at any step with the next token."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.trainers.text_passes import Passes, PhasePasses, Rates
from cortex.trainers.text_stream import Mixture, Source, State, StreamEndedError

END = 0


class Listed:
    """A source in memory, whose state is a row's number."""

    def __init__(self, texts: list[str | None], state: State | None) -> None:
        self._texts, self._row = texts, state["row"] if state else 0

    def __iter__(self) -> Iterator[str | None]:
        while self._row < len(self._texts):
            self._row += 1
            yield self._texts[self._row - 1]

    def state_dict(self) -> State:
        return {"row": self._row}


def encode(texts: object) -> list[list[int]]:
    assert isinstance(texts, list)
    return [[*map(int, str(text).split()), END] for text in texts]


def source(texts: list[str | None], weight: float = 1.0, epochs: int = 1) -> Source:
    return Source("listed", weight, epochs, lambda state: Listed(texts, state), encode)


def numbered(count: int, start: int = 1, length: int = 1) -> list[str | None]:
    return [" ".join([str(number)] * length) for number in range(start, start + count)]


def mixture(*sources: Source, length: int = 4, rows: int = 5, seed: int = 0) -> Mixture:
    return Mixture("web", sources, length, rows=rows, seed=seed)


def taken(mixed: Mixture, count: int) -> list[int]:
    return [token for _ in range(count) for token in mixed.next(0)]


def test_texts_are_joined_and_cut_without_a_rest_and_windows_are_shuffled() -> None:
    tokens = taken(mixture(source(numbered(20))), 10)
    texts = [token for token in tokens if token != END]
    assert tokens[1::2] == [END] * 20
    assert texts != sorted(texts)
    assert [sorted(texts[at : at + 5]) for at in range(0, 20, 5)] == [
        list(range(at + 1, at + 6)) for at in range(0, 20, 5)
    ]
    assert taken(mixture(source(numbered(20)), seed=1), 10) != tokens
    assert taken(mixture(source(numbered(20)), rows=1), 10)[::2] == list(range(1, 21))


def test_weights_are_shares_of_tokens_whatever_the_texts_lengths() -> None:
    mixed = mixture(source(numbered(4000), weight=3), source(numbered(400, 10**6, length=19), weight=1))
    for rows in (100, 200, 300):
        while sum(mixed.tokens) < 4 * rows:
            mixed.next(0)
        short, long = mixed.tokens
        assert abs(short - 3 * long) <= 3 * 20


def test_an_epoch_begins_anew_in_another_order() -> None:
    tokens = [token for token in taken(mixture(source(numbered(8), epochs=2), rows=8), 8) if token != END]
    assert sorted(tokens[:8]) == sorted(tokens[8:]) == list(range(1, 9))
    assert tokens[:8] != tokens[8:]


def test_a_source_that_ends_early_says_how_many_tokens_it_had_and_how_many_epochs_would_do() -> None:
    mixed = mixture(source(numbered(50), weight=1), source(numbered(4000), weight=3))
    with pytest.raises(StreamEndedError) as error:
        for row in range(200):
            mixed.next(800 - 4 * row)
    assert str(error.value) == (
        "phase web: listed ended after 100 tokens in its one epoch, and its weight asks for 200 in this phase: set its "
        "epochs to 2, or lower its weight or the phase's tokens"
    )
    mixed = mixture(source(numbered(50), weight=1, epochs=2), source(numbered(4000), weight=3))
    for row in range(200):
        mixed.next(800 - 4 * row)


@pytest.mark.parametrize("texts", [[], [None] * 12])
def test_a_source_without_a_text_is_refused(texts: list[str | None]) -> None:
    with pytest.raises(StreamEndedError, match="listed holds no text that passes its filter"):
        mixture(source(texts, epochs=3)).next(4)


@given(
    filtered=st.sets(st.integers(0, 59)),
    rows=st.integers(1, 9),
    weight=st.floats(0.2, 5),
    passes=st.integers(1, 3),
    lengths=st.tuples(st.integers(1, 3), st.integers(1, 2)),
)
@settings(max_examples=60, deadline=None)
def test_continued_after_any_step_it_reads_what_an_undisturbed_stream_reads(
    filtered: set[int], rows: int, weight: float, passes: int, lengths: tuple[int, int]
) -> None:
    texts = [None if number in filtered else str(number + 1) for number in range(60)]
    texts[7] = " ".join(["7"] * 40)  # longer than several sequences

    def stream(state: State | None = None) -> Passes:
        def mix(name: str, length: int) -> Mixture:
            return Mixture(name, [source(texts, weight, 99), source(numbered(300, 100, 3))], length, rows=rows, seed=2)

        phases = [
            PhasePasses("one", 7, 1.0, 4, lengths[0], lambda: mix("one", lengths[0])),
            PhasePasses("two", 6, 0.5, 2, 2 * lengths[0] * lengths[1], lambda: mix("two", 2 * lengths[0] * lengths[1])),
        ]
        return Passes(phases, passes, state)

    whole, states = [], []
    undisturbed = stream()
    for number, sequences in enumerate(undisturbed, 1):
        whole.append(sequences)
        if number % passes == 0:
            states.append(json.loads(json.dumps(undisturbed.state(number // passes))))
    assert len(whole) == 13 * passes
    assert {(len(sequences), len(sequences[0])) for sequences in whole[: 7 * passes]} == {(4, lengths[0])}
    for step, state in enumerate(states, 1):
        continued = stream(state)
        assert list(continued) == whole[step * passes :]
        assert continued.read == undisturbed.read


def test_the_state_of_a_step_outlives_what_is_read_ahead() -> None:
    passes = Passes([PhasePasses("one", 6, 1.0, 1, 4, lambda: mixture(source(numbered(300))))], 2)
    reading, states = iter(passes), []
    for step in range(1, 4):
        for _ in range(2 if step > 1 else 3):  # always one pass ahead
            next(reading)
        states.append(passes.state(step)["step"])
    assert states == [1, 2, 3]


def test_rates_rise_once_and_decline_without_a_jump_from_phase_to_phase() -> None:
    rates = Rates([(100, 1.0), (50, 0.4)], "cosine", 10, 0.1)
    found = [rates.at(step) for step in range(150)]
    assert found[0] == pytest.approx(0.1)
    assert found[:10] == sorted(found[:10]) and found[10:] == sorted(found[10:], reverse=True)
    assert found[100] == pytest.approx(0.4)
    assert found[99] == pytest.approx(0.4, abs=0.001)
    assert found[149] == pytest.approx(0.04, abs=0.002)
    assert rates.at(150) == pytest.approx(0.04)
    straight = Rates([(100, 1.0), (50, 0.4)], "linear", 0, 0.0)
    assert [straight.at(step) for step in (0, 50, 100, 125)] == pytest.approx([1.0, 0.7, 0.4, 0.2])
    level = Rates([(100, 1.0), (50, 0.4)], "constant_with_warmup", 0, 0.0)
    assert [level.at(step) for step in (0, 99, 100, 149)] == [1.0, 1.0, 0.4, 0.4]
