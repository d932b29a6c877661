"""A run as a bucket holds it: a real evaluation of made-up forecasts, a ledger with a preemption, and hostile texts."""

import json
from pathlib import Path

import numpy as np

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.domains.domain import DESCRIPTION
from cortex.errors import PreemptedError
from cortex.evaluation.chapter import Cell, Chapter, Chart, Heading, Line, Row, Table
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.confidence import Interval
from cortex.evaluation.grades import Floats, Grades
from cortex.evaluation.judging import Origin, evaluate, write_report
from cortex.evaluation.questions import QUESTIONS, Judged, questions_table
from cortex.evaluation.transcripts import TRANSCRIPTS, transcripts_table
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.ledger import Ledger
from tests.evaluation.simulation import MARKETS, make_examples, stated

HOSTILE = "<img src=x onerror=\"document.title='taken'\"></script><script>document.title='taken'</script>\x1b[31m"
START = 1_700_000_000.0
EXAMPLES = make_examples(dates=250, symbols=5, strength=1.5)
TEST = EXAMPLES.filter(split="test")
TRUTH = TEST["oracle_p_up"].to_numpy()
CHAPTER = Chapter(
    name="gates & more",
    title="Gates <that> abstain",
    sentences=["A gate keeps 80% of the questions."],
    tables=[
        Table(
            title="Gates",
            headings=[Heading(title="Coverage", form=".1%")],
            rows=[Row(name="regime", cells=[Cell(value=0.8, interval=Interval(low=0.7, high=0.9))])],
        )
    ],
    charts=[
        Chart(
            title="Kept", note="More is better.", x_title="x", y_title="y", lines=[Line(name="a", x=[0, 1], y=[0, 1])]
        )
    ],
)


def make_run(
    store: Store, profile: Profile, folder: Path, *, run: str = "r1", letters: int = 0, noise: float = 0.0
) -> None:
    """A finished run of 500 test questions, answered by three models. Each text has some `letters` besides; `noise` is
    added to what the judged model states."""
    create_run(store, run, profile)
    _write_ledger(store, run)
    _publish_data(store, run, folder / "data")
    _publish_evaluation(store, run, folder / "evaluate", letters, noise)
    for stage in ("label", "sft", "grpo", "export"):
        _publish(store, run, stage, folder / stage, {"made-by": stage})
    provenance = {"code": "0.1.0+abc", "base": {"name": "base", "revision": "f00d", "manifest": "0" * 64}}
    _publish(store, run, "release", folder / "release", {"provenance.json": json.dumps(provenance)})
    samples = [{"step": 1, "split": "train", "prompt": "up?", "completion": HOSTILE, "reward": 0.25, "format": 1.0}]
    for step in (1, 40):
        lines = "".join(json.dumps({**row, "step": step}) + "\n" for row in samples)
        store.put(f"runs/{run}/grpo/tracking/samples/train-{step:08d}.jsonl", lines.encode())


def _publish(store: Store, run: str, stage: str, folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    publish(folder, store, artifact_prefix(run, stage), kind=stage)


def _publish_data(store: Store, run: str, folder: Path) -> None:
    split = {"examples": 500, "first": "2021-05-31", "last": "2021-09-07"}
    described = {
        "source": {"name": "simulation"},
        "simulated": True,
        "summary": "5 chains",
        "features": [],
        "splits": {"train": split, "test": split},
    }
    _publish(store, run, "data", folder, {DESCRIPTION: json.dumps(described)})


def _publish_evaluation(store: Store, run: str, folder: Path, letters: int, noise: float) -> None:
    folder.mkdir(parents=True)
    outcomes, wobble = TEST["outcome"].to_numpy(), np.random.default_rng(3).normal(size=len(TRUTH))
    p_up = {"base": np.full(len(TRUTH), 0.5), "sft": (TRUTH + 0.5) / 2, "grpo": np.clip(TRUTH + noise * wobble, 0, 1)}
    graded = {name: stated(each).graded(outcomes) for name, each in p_up.items()}
    reference = stated(np.full(len(TRUTH), 0.52)).graded(outcomes)
    evaluation = evaluate(
        graded,
        {MARKETS.scale.reference: reference},
        Clusters.read(TEST, MARKETS.span(TEST)),
        judged="grpo",
        scale=MARKETS.scale,
        measures=MARKETS.measures,
        origin=Origin(MARKETS.kind, "a test", simulated=True, train_examples=750),
        details=MARKETS.details,
        chapters=lambda _: [CHAPTER],
        resamples=200,
    )
    write_report(evaluation, folder)
    held, tokens = np.arange(len(TRUTH)) % 50 == 0, np.full((len(TRUTH), 2), 40)
    judged = {name: Judged(Grades.of(each, reference), held, tokens) for name, each in graded.items()}
    questions = questions_table(TEST, judged)
    questions.write_parquet(folder / QUESTIONS)
    words = _Words()
    asked = [
        (f"Will {key} rise? {words.text(letters)}", f"the return was {outcome:+.2%}")
        for key, outcome in zip(TEST["id"], outcomes, strict=True)
    ]
    answers = {name: [_answer(name, at, p, words.text(letters)) for at, p in enumerate(p_up[name])] for name in graded}
    transcripts_table(questions, asked, answers).write_parquet(folder / TRANSCRIPTS)
    publish(folder, store, artifact_prefix(run, "evaluate"), kind="evaluate")


def _answer(model: str, at: int, p_up: float, text: str) -> str:
    marked = HOSTILE if at == 0 else "Needle" if at == 77 else ""
    return f"<think>{marked} {model} {text}</think><answer>{p_up:.3f}</answer>"


class _Words:
    """Text of words and numbers that compresses about as well as a model's."""

    def __init__(self) -> None:
        self._drawn = np.random.default_rng(5)
        letters = np.array(list("etaoinshrdlu"))
        self._words = ["".join(self._drawn.choice(letters, size=3 + at % 7)) for at in range(1200)]
        ranks = 1 / np.arange(2, 1202)
        self._shares: Floats = ranks / ranks.sum()

    def text(self, letters: int) -> str:
        count = letters // 6
        chosen = self._drawn.choice(len(self._words), size=count, p=self._shares)
        numbers = self._drawn.normal(size=count)
        return " ".join(f"{numbers[at]:.2f}" if at % 9 == 8 else self._words[index] for at, index in enumerate(chosen))


def _write_ledger(store: Store, run: str) -> None:
    clock = _Clock()
    stages = ("data", "label", "sft", "grpo", "grpo", "export", "evaluate", "release")
    for epoch, stage in enumerate(stages, 1):
        ledger, began = Ledger(store, run, epoch, clock), clock.now
        ledger.append("stage_started", stage=stage)
        ledger.append(
            "machine_started", machine=f"i-{epoch}", since=began, dollars_per_hour=3.6, spot=True, cloud="aws"
        )
        if stage in ("sft", "grpo"):
            _train(ledger, clock, stage, is_second=epoch == 5)
        clock.now += 1000
        if epoch == 4:
            ledger.append("stage_failed", stage=stage, seconds=clock.now - began, code=75, reason=_NOTICE)
        else:
            ledger.append("stage_finished", stage=stage, seconds=clock.now - began, manifest="0" * 64)
        ledger.append("machine_ended", machine=f"i-{epoch}", since=began, until=clock.now, seconds=clock.now - began)


def _train(ledger: Ledger, clock: "_Clock", stage: str, *, is_second: bool) -> None:
    steps = range(1, 61) if stage == "sft" else range(33, 61) if is_second else range(1, 41)
    if is_second:
        ledger.append("resumed", stage=stage, checkpoint="checkpoint-32")
    for step in steps:
        clock.now += 10
        values = {"loss": 2 / step, "learning_rate": 1e-4}
        if stage == "grpo":
            values |= {"reward": step / 60, "reward/answer": step / 70, "reward/format": 0.9}
        ledger.progress(step=step, total=60, **values)
    ledger.append("validated", stage=stage, step=steps[-1], values={"answer_loss": 0.2})


class _Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


_NOTICE = f"{PreemptedError.__name__}: the cloud takes the machine away"
