"""Answers that a stage keeps batch by batch, over a folder and over a real S3 server; and those of an endpoint."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store
from cortex.checkpoints.trainer_command import trainer_environment
from cortex.errors import ConfigError, RefusedError, StageError
from cortex.models import stored_answers as module
from cortex.models.open_sampler import open_sampler
from cortex.models.sample_endpoint import EndpointSampler
from cortex.models.sample_vllm import VllmSampler
from cortex.models.sampling import Answers, Asked, Batch, SampledModel
from cortex.models.stored_answers import KeptAnswers, sample_answers
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.profiles.sampling_section import Sampling
from cortex.settings import Settings
from tests.artifacts.faulty import BUCKET, Fault, Proxy
from tests.checkpoints.conftest import RUN, NewContext, context_of
from tests.conversations import ask
from tests.teaching.endpoint import Reply, Teacher, completion, error, serving

pytestmark = pytest.mark.integration

MODEL = SampledModel("sft", "/models/sft", None, ("digest",))
BATCH = Batch(MODEL, 0, ask("why?", "how?"), Asked(max_tokens=16, samples=2, temperature=1.0, seed=3))
ANSWERS: Answers = [["because", "since"], ["so", "\u2028 thus"]]


def place(context_work: Path, kept: str) -> Path:
    """The batch's file on this machine's disk."""
    folder = context_work / "evaluate" / "answers"
    return (Path(kept) / "runs" / RUN / "evaluate" / "answers" if "://" not in kept else folder) / f"{BATCH.key}.json"


def test_what_is_kept_is_found_by_the_next_process_and_on_the_next_machine(
    new_context: NewContext, tmp_path: Path, kept: str
) -> None:
    KeptAnswers(new_context(), "evaluate").write(BATCH, ANSWERS)
    assert KeptAnswers(new_context(), "evaluate").read(BATCH) == ANSWERS
    elsewhere = replace(new_context(), work=tmp_path / "another machine")
    assert KeptAnswers(elsewhere, "evaluate").read(BATCH) == ANSWERS
    assert KeptAnswers(elsewhere, "dpo").read(BATCH) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(BATCH, number=1),
        replace(BATCH, prompts=ask("why?", "how")),
        replace(BATCH, prompts=ask("why?how?")),
        replace(BATCH, model=replace(MODEL, origin=("another digest",))),
        replace(BATCH, model=replace(MODEL, name="dpo")),
        *(
            replace(BATCH, asked=replace(BATCH.asked, **{name: value}))
            for name, value in {"seed": 4, "temperature": 0.9, "top_p": 0.9, "samples": 3, "max_tokens": 17}.items()
        ),
    ],
)
def test_answers_to_another_question_are_not_taken(new_context: NewContext, other: Batch) -> None:
    KeptAnswers(new_context(), "evaluate").write(BATCH, ANSWERS)
    assert KeptAnswers(new_context(), "evaluate").read(other) is None


def test_a_model_in_another_folder_is_the_same_model(new_context: NewContext) -> None:
    KeptAnswers(new_context(), "evaluate").write(BATCH, ANSWERS)
    moved = replace(BATCH, model=replace(MODEL, folder="/elsewhere/sft"))
    assert replace(moved, model=MODEL).key == BATCH.key
    assert KeptAnswers(new_context(), "evaluate").read(moved) == ANSWERS


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"because", b"becausE"),
        lambda data: b"",
        lambda data: b"[1]",
        lambda data: b"null",
        lambda data: b"\xff\x00",
        lambda data: b"[" * 100_000,
        lambda data: json.dumps({"answers": [["x"]], "code": "0" * 64}).encode(),
        lambda data: json.dumps({"answers": json.loads(data)["answers"]}).encode(),
        lambda data: json.dumps({"answers": json.loads(data)["answers"], "code": 5}).encode(),
    ],
)
def test_what_is_damaged_is_asked_again_and_kept_anew(
    new_context: NewContext, kept: str, tmp_path: Path, damage: Damage
) -> None:
    context = new_context()
    KeptAnswers(context, "evaluate").write(BATCH, ANSWERS)
    key = f"runs/{RUN}/evaluate/answers/{BATCH.key}.json"
    context.store.put(key, damage(context.store.get(key)))
    elsewhere = replace(context, work=tmp_path / "another machine")
    assert KeptAnswers(elsewhere, "evaluate").read(BATCH) is None
    KeptAnswers(elsewhere, "evaluate").write(BATCH, ANSWERS)
    assert KeptAnswers(replace(context, work=tmp_path / "a third"), "evaluate").read(BATCH) == ANSWERS


def test_this_machines_damaged_copy_is_mended_by_the_buckets(
    new_context: NewContext, tmp_path: Path, kept: str
) -> None:
    if "://" not in kept:
        pytest.skip("expected: a folder is kept once")
    KeptAnswers(new_context(), "evaluate").write(BATCH, ANSWERS)
    place(tmp_path / "work", kept).write_bytes(b"{")
    assert KeptAnswers(new_context(), "evaluate").read(BATCH) == ANSWERS


def test_another_run_cannot_have_written_it(new_context: NewContext, tmp_path: Path) -> None:
    context = new_context()
    KeptAnswers(context, "evaluate").write(BATCH, ANSWERS)
    stranger = replace(
        context, work=tmp_path / "w", secret=replace(context.secret, value="another secret, 32 letters long!")
    )
    assert KeptAnswers(stranger, "evaluate").read(BATCH) is None


def test_who_lost_the_run_writes_nothing(new_context: NewContext, profile: Profile, tmp_path: Path) -> None:
    first = new_context()
    new_context()
    with pytest.raises(RefusedError):
        KeptAnswers(first, "evaluate").write(BATCH, ANSWERS)
    assert not first.store.exists(f"runs/{RUN}/evaluate/answers/{BATCH.key}.json")


def test_a_bucket_that_is_down_costs_no_answer(
    proxy: Proxy, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SENDING", Patience(deadline=0.5))
    store = open_store(f"s3://{BUCKET}/kit")
    keeper = KeptAnswers(context_of(store, profile, tmp_path / "work"), "evaluate")
    proxy.plan = lambda request: Fault("status") if "/answers/" in request.key and request.method == "PUT" else None
    keeper.write(BATCH, ANSWERS)
    second = replace(BATCH, number=1)
    keeper.write(second, ANSWERS)
    assert not store.list(f"runs/{RUN}/evaluate")
    proxy.plan = lambda _: None
    # The next attempt on this machine finds both on its disk, and sends them with what it adds.
    keeper = KeptAnswers(context_of(store, profile, tmp_path / "work"), "evaluate")
    assert keeper.read(BATCH) == keeper.read(second) == ANSWERS
    keeper.write(replace(BATCH, number=2), ANSWERS)
    assert len(store.list(f"runs/{RUN}/evaluate/answers")) == 3


def sampling(profile: Profile, **values: object) -> Profile:
    return profile.model_copy(update={"sampling": Sampling.model_validate(values)})


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Teacher:
    monkeypatch.setattr("cortex.teaching.session.PACE", Patience(first=0.02, longest=0.1))
    return Teacher()


def echo(prompt: str, nth: int) -> Reply:
    return completion(f" {prompt}! ")


def test_an_endpoint_is_asked_once_for_each_sample(teacher: Teacher, profile: Profile, tmp_path: Path) -> None:
    teacher.script = echo
    prompts = [f"question {'x' * (7 - number)}" for number in range(7)]
    with serving(teacher) as served:
        context = context_of(
            _store(tmp_path), sampling(profile, engine="endpoint", url=served.url, batch_size=3), tmp_path / "work"
        )
        asked = Asked(max_tokens=16, samples=2, temperature=1.0)
        found = sample_answers(context, "dpo", [MODEL, replace(MODEL, name="grpo")], ask(*prompts), asked, gpus=1)
        assert found == {name: [[f"{prompt}!"] * 2 for prompt in prompts] for name in ("sft", "grpo")}
        assert len(teacher.asked) == 28
        assert sample_answers(context, "dpo", [MODEL], ask(*prompts), asked, gpus=1)["sft"] == found["sft"]
        assert len(teacher.asked) == 28, "what is kept is not asked again"


def test_an_endpoint_that_refuses_a_prompt_has_given_no_answer(teacher: Teacher, tmp_path: Path) -> None:
    def script(prompt: str, nth: int) -> Reply | None:
        if prompt == "bad":
            return error(400, "no such thing")
        return error(503, "busy") if nth == 1 else completion("yes", "length")

    teacher.script = script
    with serving(teacher) as served:
        sampler = EndpointSampler(Sampling(engine="endpoint", url=served.url), tmp_path)
        batch = Batch(MODEL, 0, ask("good", "bad"), Asked(max_tokens=4))
        with closing(sampler.sample([batch])) as answers:
            assert list(answers) == [[["yes"], [""]]]


def test_an_endpoint_that_is_gone_ends_the_stage_with_one_line(teacher: Teacher, tmp_path: Path) -> None:
    with serving(teacher) as served:
        teacher.script = lambda prompt, nth: None
        sampler = EndpointSampler(Sampling(engine="endpoint", url=served.url, patience_seconds=0.2), tmp_path)
        with pytest.raises(StageError, match=r"the sampler sft at http.*raise sampling.patience_seconds"):
            next(sampler.sample([BATCH]))


def test_an_endpoints_key_is_not_laid_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_SAMPLER_API_KEY", "s3cret")
    assert Settings().sampler_api_key == SecretStr("s3cret")
    with pytest.raises(ConfigError, match=r"CORTEX_SAMPLER_API_KEY would travel to http://10\.0\.0\.9/v1") as caught:
        EndpointSampler(Sampling(engine="endpoint", url="http://10.0.0.9/v1"), tmp_path)
    assert "s3cret" not in str(caught.value)


def test_vllm_that_is_not_installed_is_named_before_anything_is_asked(profile: Profile, tmp_path: Path) -> None:
    context = context_of(_store(tmp_path), sampling(profile, engine="vllm"), tmp_path / "work")
    with pytest.raises(ConfigError, match="has no vLLM: run the stage in the image"):
        open_sampler(context, "evaluate", 1)
    with pytest.raises(ConfigError, match="has no vLLM"):
        VllmSampler(profile, 1, tmp_path)


def test_no_program_of_vllm_calls_a_compiler_of_cuda(profile: Profile) -> None:
    assert trainer_environment(profile)["VLLM_USE_FLASHINFER_SAMPLER"] == "0"


def test_the_engine_follows_the_device() -> None:
    assert Sampling().engine_on("cpu") == "transformers"
    assert Sampling().engine_on("cuda") == "vllm"
    assert Sampling(engine="transformers").engine_on("cuda") == "transformers"
    for name in ("cortex-8b", "cortex-70b"):
        shipped = load_profile(name)
        assert shipped.sampling.engine_on(shipped.hardware.device) == "vllm"


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"engine": "endpoint"}, "give `url` beside it"),
        ({"url": "http://127.0.0.1:8000/v1"}, "set `engine: endpoint`, or remove `url`"),
        ({"engine": "vllm", "url": "http://127.0.0.1:8000/v1"}, "remove `url`"),
        ({"engine": "endpoint", "url": "127.0.0.1:8000"}, "http"),
        ({"engine": "sglang"}, "transformers"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"gpu_memory_utilization": 1.0}, "less than 1"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Sampling.model_validate(values)


def test_seeds_depend_on_nothing_but_their_place() -> None:
    asked = Asked(max_tokens=1, seed=7)
    batches = [Batch(MODEL, number, ask("a", "b", "c"), asked) for number in range(20)]
    seeds = [seed for batch in batches for seed in (batch.seed, *batch.seeds())]
    assert len(set(seeds)) == len(seeds) == 80
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert batches[3].seeds() == Batch(MODEL, 3, ask("d", "e", "f"), asked).seeds()
    assert batches[3].seeds() != Batch(MODEL, 3, ask("a", "b", "c"), replace(asked, seed=8)).seeds()


def _store(folder: Path) -> Store:
    return open_store(str(folder / "bucket"))
