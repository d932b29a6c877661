"""Rules of every image, read from the Dockerfile; each rule is also shown to catch its own mistake."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sky
import yaml

from cortex.local.environments import python_version
from cortex.runs.pipeline import SKY_YAML
from scripts.images.build import DOCKERFILE, NAMES

TEXT = DOCKERFILE.read_text()
INSTALL = (DOCKERFILE.parent / "debian" / "install.sh").read_text(encoding="utf-8")
DOCKER_UTILS = Path(sky.__file__).parent / "provision" / "docker_utils.py"
PINNED = re.compile(r"[\w./:-]+@sha256:[0-9a-f]{64}")
SECRET = re.compile(r"(?i)(token|secret|password|credential|api_?key)")
LABELS = ("title", "version", "revision", "source", "licenses", "base.name")


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, rest) of each line, with continued lines joined and comments dropped."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stage(text: str, name: str) -> list[tuple[str, str]]:
    """The instructions of one stage, its FROM first."""
    found: list[tuple[str, str]] = []
    for word, rest in instructions(text):
        if word == "FROM":
            if found:
                break
            if not rest.endswith(f"AS {name}"):
                continue
        if found or word == "FROM":
            found.append((word, rest))
    return found


def base_is_pinned(text: str) -> bool:
    bases = {rest.split()[0] for word, rest in instructions(text) if word == "FROM"}
    default = dict(rest.split("=", 1) for word, rest in instructions(text) if word == "ARG" and "=" in rest)
    return bases == {"${WHEELS}", "${BASE_IMAGE}", "installer", "lean", "${FLAVOUR}", "job"} and bool(
        PINNED.fullmatch(default["BASE_IMAGE"])
    )


def nothing_is_pulled_to_read_the_file(text: str) -> bool:
    return not re.search(r"(?im)^#\s*syntax\s*=", text)


def the_user_is_nobody_special(text: str) -> bool:
    words = [(word, rest) for word, rest in stage(text, "lean") if word in ("USER", "RUN", "COPY")]
    later = [word for name in ("job", "serve") for word, _ in stage(text, name)]
    return words[-1] == ("USER", "10001:10001") and "USER" not in later


def what_skypilot_installs_is_there(text: str) -> bool:
    """The packages that SkyPilot's own code names, and a root user who may install the rest."""
    asked = re.search(r"install -y '\s+'(rsync [a-z0-9 -]+)\\''", DOCKER_UTILS.read_text(encoding="utf-8"))
    assert asked
    [run] = [rest for word, rest in stage(text, "sky") if word == "RUN"]
    return f"install.sh /mnt/debian {asked[1]};" in run and ("USER", "0:0") in stage(text, "sky")


def no_host_key_is_shared(text: str) -> bool:
    [run] = [rest for word, rest in stage(text, "sky") if word == "RUN"]
    return "rm -f /etc/ssh/ssh_host_*" in run and "ssh-keygen -A" in run


def hashes_are_required(text: str) -> bool:
    return "cuda) lock=/locks/requirements.lock; check=--require-hashes" in text and "--no-verify-hashes" not in text


def no_secret_is_named(text: str) -> bool:
    return not any(word in ("ARG", "ENV") and SECRET.search(rest) for word, rest in instructions(text))


def signals_arrive(text: str) -> bool:
    entries = [rest for word, rest in instructions(text) if word in ("ENTRYPOINT", "CMD")]
    return (
        len(entries) == 6 and all(rest.startswith("[") for rest in entries) and entries[0].startswith('["tini", "--"')
    )


def labels_are_set(text: str) -> bool:
    labels = " ".join(rest for word, rest in stage(text, "job") if word == "LABEL")
    return all(f"org.opencontainers.image.{label}=" in labels for label in LABELS)


def no_cache_is_kept(text: str) -> bool:
    """Debian's packages are installed only by the script that cleans up after itself."""
    runs = [rest for word, rest in instructions(text) if word == "RUN"]
    cleaned = all(place in INSTALL for place in ("lib/apt/lists/*", "cache/apt/*.bin", "cache/apt/archives/*.deb"))
    return (
        cleaned and not any("apt-get" in run for run in runs) and sum("/media/install.sh" in run for run in runs) == 2
    )


def only_triton_brings_a_compiler(text: str) -> bool:
    gcc = [rest for word, rest in instructions(text) if word == "RUN" and "gcc" in rest]
    condition = """if [ "${VARIANT}" = cuda ] && grep -q '^triton==' /image.lock; then echo gcc libc6-dev"""
    return len(gcc) == 1 and gcc[0].count("gcc") == 1 and condition in gcc[0]


def vllm_finds_a_compiler_and_calls_no_nvcc(text: str) -> bool:
    """It holds in the images that have vLLM: `grpo` trains and judges with it, and `serve` serves."""
    condition = """if [ "${VARIANT}" = cuda ] && grep -q '^vllm==' /image.lock; then echo g++ >> debian"""
    needs = [rest for word, rest in stage(text, "needs") if word == "RUN"]
    variables = " ".join(rest for word, rest in stage(text, "lean") if word == "ENV")
    return any(condition in rest for rest in needs) and "VLLM_USE_FLASHINFER_SAMPLER=0" in variables.split()


def the_kit_comes_last(text: str) -> bool:
    layers = [rest for word, rest in stage(text, "job") if word in ("RUN", "COPY")]
    return layers[-1:] == ["--from=kit /tree /opt"]


def serving_asks_for_a_token(text: str) -> bool:
    checks = [rest for word, rest in stage(text, "serve") if word == "HEALTHCHECK"]
    return len(checks) == 1 and checks[0].endswith('CMD ["python", "/opt/ready.py"]')


def files_have_a_fixed_time(text: str) -> bool:
    times = text.count('--date="@${SOURCE_DATE_EPOCH}"') + text.count("sh /media/settle.sh /mnt/debian\n")
    return times == 6 and text.count("--invalidation-mode unchecked-hash") == 3


RULES: list[tuple[Callable[[str], bool], str, str]] = [
    (base_is_pinned, "@sha256:0bee7276", "@sha256:"),
    (base_is_pinned, "FROM ${BASE_IMAGE} AS kit", "FROM python:3.11 AS kit"),
    (nothing_is_pulled_to_read_the_file, "# All images", "# syntax=docker/dockerfile:1\n# Every image"),
    (the_user_is_nobody_special, "USER 10001:10001", "USER root"),
    (the_user_is_nobody_special, "EXPOSE 8000", "USER root\nEXPOSE 8000"),
    (hashes_are_required, "check=--require-hashes", "check=--no-verify-hashes"),
    (no_secret_is_named, "ARG VERSION=0", "ARG HF_TOKEN\nARG VERSION=0"),
    (signals_arrive, 'ENTRYPOINT ["tini", "--", "cortex"]', "ENTRYPOINT cortex"),
    (signals_arrive, 'ENTRYPOINT ["tini", "--", "cortex"]', 'ENTRYPOINT ["cortex"]'),
    (labels_are_set, "org.opencontainers.image.revision", "revision"),
    (no_cache_is_kept, "sh /media/install.sh", "apt-get install"),
    (what_skypilot_installs_is_there, " python3-pip fuse", " python3-pip"),
    (what_skypilot_installs_is_there, "USER 0:0\n", ""),
    (no_host_key_is_shared, "rm -f /etc/ssh/ssh_host_*", "true"),
    (only_triton_brings_a_compiler, "echo tini > debian", "echo tini gcc > debian"),
    (vllm_finds_a_compiler_and_calls_no_nvcc, "echo g++ >> debian", "true"),
    (vllm_finds_a_compiler_and_calls_no_nvcc, "VLLM_USE_FLASHINFER_SAMPLER=0", "VLLM_USE_FLASHINFER_SAMPLER=1"),
    (the_kit_comes_last, "COPY --from=kit /tree /opt\n", ""),
    (serving_asks_for_a_token, '"python", "/opt/ready.py"', '"curl", "localhost:8000/health"'),
    (files_have_a_fixed_time, "unchecked-hash /tree/kit", "timestamp /tree/kit"),
]


@pytest.mark.parametrize(
    ("rule", "right", "wrong"), RULES, ids=[f"{rule.__name__}: {wrong}" for rule, _, wrong in RULES]
)
def test_the_dockerfile_keeps_a_rule_whose_breach_is_seen(rule: Callable[[str], bool], right: str, wrong: str) -> None:
    assert right in TEXT
    assert rule(TEXT)
    assert not rule(TEXT.replace(right, wrong))


def test_every_image_of_the_pipeline_can_be_built() -> None:
    documents = [document for document in yaml.safe_load_all(SKY_YAML.read_text()) if "resources" in document]
    wanted = {document["resources"]["image_id"].removeprefix("docker:cortex-") for document in documents}
    assert wanted <= set(NAMES)
    assert all((DOCKERFILE.parent / name / "requirements.lock").is_file() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_cuda_lock_has_a_hash_for_everything(name: str) -> None:
    lock = (DOCKERFILE.parent / name / "requirements.lock").read_text()
    pins = re.findall(r"(?m)^[a-z0-9][^\n]*==[^\n]*\n[^\n]*", lock)
    assert pins
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_image_with_another_python_has_a_pinned_base_of_it(name: str) -> None:
    folder = DOCKERFILE.parent / name
    assert (folder / "base").exists() == (folder / "python").exists()
    if (folder / "base").exists():
        base = (folder / "base").read_text().strip()
        assert PINNED.fullmatch(base)
        assert base.startswith(f"python:{python_version(name)}-")
