from cortex.checkpoints.watchdog import Watchdog
from cortex.profiles.trainer_sections import HangLimit

LIMIT = HangLimit(steps=20, least_seconds=5, start_seconds=100)


def test_until_the_first_step_it_waits_as_long_as_a_start_takes() -> None:
    watchdog = Watchdog(LIMIT, now=0)
    assert not watchdog.overdue(100)
    assert watchdog.overdue(100.1)
    watchdog.step(99)
    assert watchdog.limit == 100  # the first interval is not known yet


def test_the_limit_follows_the_median_of_the_steps() -> None:
    watchdog = Watchdog(LIMIT, now=0)
    for now in (10, 11, 12, 13, 14, 44):  # one slow step says little
        watchdog.step(now)
    assert watchdog.limit == 20
    assert not watchdog.overdue(64)
    assert watchdog.overdue(64.1)
    assert watchdog.silence(50) == 6


def test_quick_steps_are_given_the_least() -> None:
    watchdog = Watchdog(LIMIT, now=0)
    for step in range(10):
        watchdog.step(step * 0.01)
    assert watchdog.limit == 5


def test_saving_takes_its_own_time_and_counts_as_no_step() -> None:
    watchdog = Watchdog(LIMIT, now=0)
    for now in (1, 2, 3):
        watchdog.step(now)
    watchdog.pause(3)
    assert watchdog.limit == 100
    assert not watchdog.overdue(80)
    watchdog.resume(80)
    watchdog.step(81)
    assert watchdog.limit == 20


def test_a_pause_that_never_ends_is_no_excuse() -> None:
    watchdog = Watchdog(LIMIT, now=0)
    for now in (1, 2, 3):
        watchdog.step(now)
    for now in range(4, 204, 10):  # it waits for room, then saves, then waits again, and never makes a step
        watchdog.pause(now)
    assert watchdog.overdue(204)
    watchdog.step(205)
    watchdog.pause(206)
    assert not watchdog.overdue(300)
