from cortex.artifacts.outage import Outage
from cortex.artifacts.patience import Patience


class Story:
    """An outage and its reports, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[float, str]] = []
        self.over: list[float] = []
        self.outage = Outage(
            lambda seconds, reason: self.told.append((seconds, reason)), self.over.append, clock=lambda: self.now
        )

    def fail(self, *times: float) -> None:
        for self.now in times:
            self.outage.failing(OSError("no route\ndump"))


def test_it_is_told_once_it_lasts_then_each_minute_and_when_it_is_over() -> None:
    story = Story()
    story.fail(100, 105, 109.9)
    assert story.told == []
    story.fail(110, 111, 169.9, 171, 172, 300)
    assert story.told == [(10, "no route"), (71, "no route"), (200, "no route")]
    story.now = 310
    story.outage.answered()
    story.outage.answered()
    assert story.over == [210]


def test_what_is_short_is_not_told_and_the_next_one_counts_anew() -> None:
    story = Story()
    story.fail(100, 109)
    story.outage.answered()
    story.fail(120, 129)
    assert (story.told, story.over) == ([], [])
    story.fail(130)
    assert story.told == [(10, "no route")]


def test_patience_lets_its_listener_hear() -> None:
    heard: list[str] = []

    class Listener:
        def failing(self, error: Exception) -> None:
            heard.append(str(error))

        def answered(self) -> None:
            heard.append("answered")

    failures = [OSError("one"), OSError("two")]

    def call() -> int:
        if failures:
            raise failures.pop(0)
        return 7

    patience = Patience(sleep=lambda _: None, listener=Listener())
    for _ in range(2):
        assert patience.persist(call, OSError, lambda *_: True, lambda *_: None) == 7
    assert heard == ["one", "two", "answered"]
