"""Checks against services that speak the real ones' protocols on loopback."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.open_store import open_store
from cortex.bases.base_pin import bind_pin
from cortex.fleet.clouds import aws_api
from cortex.fleet.preflight import bucket_check, clock_check, credentials_check, hub_check, images_check, quota_check
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.preflight.quota_codes import quota_code
from cortex.profiles.profile import Profile
from cortex.runs.price_list import Offer
from cortex.runs.run_secret import RunSecret
from cortex.settings import Settings
from tests.fleet.services import (
    COMMIT,
    DIGEST,
    TRAINABLE,
    Answer,
    Aws,
    Hub,
    Registry,
    Request,
    hanging,
    quotas,
    serving,
)

pytestmark = pytest.mark.integration

Make = Callable[..., Ground]


@pytest.fixture
def ground(profile: Profile, tmp_path: Path) -> Make:
    def make(documents: Iterable[Mapping[str, Any]] = (), *, base: str | None = None, **values: Any) -> Ground:
        model = {"base": base, "licence": "llama3.1"} if base else profile.model.model_dump()
        changed = Profile.model_validate(profile.model_dump() | {"model": model})
        settings = Settings(bucket=values.pop("bucket", None), home=tmp_path)
        given: dict[str, Any] = {"environment": {}, **values}
        return Ground(changed, None, settings, list(documents), **given)

    return make


def image(host: str, digest: str = DIGEST) -> list[dict[str, Any]]:
    return [{"name": "sft", "resources": {"image_id": f"docker:{host}/cortex/sft@{digest}"}}]


def login(tmp_path: Path, host: str) -> dict[str, str]:
    (tmp_path / "config.json").write_text(f'{{"auths": {{"{host}": {{"auth": "{Registry.LOGIN}"}}}}}}')
    return {"DOCKER_CONFIG": str(tmp_path)}


def test_an_image_is_found_with_an_anonymous_token(ground: Make) -> None:
    registry = Registry()
    with serving(registry) as registry.url:
        found = images_check.check(ground(image(registry.url.removeprefix("http://"))))
    assert found.ok and "1 by digest" in found.detail, found
    assert [asked.partition("?")[0] for asked in registry.asked][1] == "GET /token"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (b" " * 2**20 + b'{"token": "granted"}', "sends more than 1,048,576 bytes"),
        *((body, "sends no token") for body in (b"", b"[]", b"<html>", b"[" * 9000, b'{"token": 1}', b"{}")),
        *((json.dumps({"token": text}).encode(), "sends no token") for text in ("a\r\nX: y", "\u20ac", "a b")),
    ],
)
def test_a_registry_that_gives_no_token_is_named(ground: Make, token: bytes, words: str) -> None:
    registry = Registry(token=token)
    with serving(registry) as registry.url:
        host = registry.url.removeprefix("http://")
        found = images_check.check(ground(image(host)))
    assert found.ok is None and f"registry {host} {words}" in found.detail, found


def test_a_registry_whose_tokens_come_from_nowhere_is_named(ground: Make) -> None:
    def respond(request: Request) -> Answer:
        return 401, {"WWW-Authenticate": 'Bearer realm="http://[::1/token"'}, b""

    with serving(respond) as url:
        found = images_check.check(ground(image(url.removeprefix("http://"))))
    assert found.ok is None and "does not answer (InvalidURL)" in found.detail, found


@pytest.mark.parametrize("basic", [False, True])
def test_a_private_image_is_found_with_a_login_and_not_without(ground: Make, tmp_path: Path, basic: bool) -> None:
    registry = Registry(private=True, basic=basic)
    with serving(registry) as registry.url:
        host = registry.url.removeprefix("http://")
        refused = images_check.check(ground(image(host)))
        by_docker = images_check.check(ground(image(host), environment=login(tmp_path, host)))
        variables = {"SKYPILOT_DOCKER_USERNAME": "me", "SKYPILOT_DOCKER_PASSWORD": "secret"}
        by_skypilot = images_check.check(ground(image(host), environment=variables))
        wrong = images_check.check(ground(image(host), environment=variables | {"SKYPILOT_DOCKER_PASSWORD": "guess"}))
    assert refused.ok is False and "docker login" in str(refused.fix), refused
    assert by_docker.ok and by_skypilot.ok
    assert wrong.ok is False and "docker login" in str(wrong.fix)


def test_a_digest_that_the_registry_does_not_have_is_to_be_pushed(ground: Make, tmp_path: Path) -> None:
    registry = Registry()
    with serving(registry) as registry.url:
        host = registry.url.removeprefix("http://")
        digests = tmp_path / "digests.json"
        digests.write_text(f'{{"sft": "{host}/cortex/sft@sha256:{"0" * 64}"}}')
        found = images_check.check(ground([{"resources": {"image_id": "docker:cortex-sft"}}], digests=digests))
    assert found.ok is False and found.fix == "make images && make push" and "has no sha256:000" in found.detail


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "never pushed"),
        ("{", "is not JSON"),
        ("{}", "has no digest"),
        ('{"sft": "registry.example/cortex/sft:latest"}', "@sha256:"),
    ],
)
def test_images_that_were_not_pushed_name_the_command(
    ground: Make, tmp_path: Path, text: str | None, words: str
) -> None:
    digests = tmp_path / "digests.json"
    if text is not None:
        digests.write_text(text)
    found = images_check.check(ground([{"resources": {"image_id": "docker:cortex-sft"}}], digests=digests))
    assert found.ok is False and words in found.detail and found.fix == "make images && make push"


def test_a_plan_without_images_asks_no_registry(ground: Make) -> None:
    assert images_check.check(ground([{"resources": {"cpus": 2}}])).ok is None


def test_a_registry_that_cannot_be_reached_is_no_failure(ground: Make) -> None:
    found = images_check.check(ground(image("127.0.0.1:9")))
    assert found.ok is None and "does not answer" in found.detail


@pytest.mark.parametrize(
    ("base", "token", "ok", "words", "fix"),
    [
        ("open/model", None, True, "by anybody", None),
        ("gated/model", "hf_let_in", True, "by ada", None),
        ("gated/model", None, False, "is gated, and HF_TOKEN is not set", "export HF_TOKEN=hf_"),
        ("gated/model", "hf_new", False, "is gated, and bob has not been let in", "accept the licence at"),
        ("gated/model", "hf_wrong", False, "does not accept HF_TOKEN", "/settings/tokens"),
        ("no/model", "hf_let_in", False, "shows no model no/model to ada", "correct model.base"),
        ("no/model", None, False, "shows no model no/model to the public", "export HF_TOKEN"),
    ],
)
def test_what_the_hub_says(ground: Make, base: str, token: str | None, ok: bool, words: str, fix: str | None) -> None:
    with serving(Hub()) as url:
        environment = {"HF_ENDPOINT": url} | ({"HF_TOKEN": token} if token else {})
        found = hub_check.check(ground(base=base, environment=environment))
    assert found.ok is ok and words in found.detail, found
    assert not ok or found.detail.endswith(f"at the main branch's revision, now {COMMIT[:12]}"), found
    assert (found.fix is None) == (fix is None) and (fix or "") in (found.fix or "")


def test_a_run_whose_base_is_in_the_bucket_asks_no_hub(ground: Make, tmp_path: Path) -> None:
    begun = replace(ground(base="gated/model", bucket=str(tmp_path / "bucket")), run="r1")
    store = open_store(begun.settings.bucket_url)
    pin = Manifest(kind="base", files=(), meta={"base": "gated/model", "revision": COMMIT})
    bind_pin(store, RunSecret.of("r1", begun.settings), pin)
    silent = replace(begun, environment={"HF_ENDPOINT": "http://127.0.0.1:9"})
    with serving(Hub()) as url:
        assert hub_check.check(replace(begun, environment={"HF_ENDPOINT": url})).ok is False, "no copy, and no token"
    store.put(f"bases/gated--model/{COMMIT}/manifest.json", Manifest(kind="base", files=(), meta={"x": 1}).data)
    assert hub_check.check(silent).ok is None, "something else is no copy"
    store.put(f"bases/gated--model/{COMMIT}/manifest.json", pin.data)
    found = hub_check.check(silent)
    assert found.ok and f"has gated/model at the run's revision {COMMIT[:12]}" in found.detail
    assert hub_check.check(replace(silent, run="r2")).ok is None, "another run may be pinned to another revision"


def test_a_hub_that_cannot_be_reached_is_no_failure(ground: Make) -> None:
    found = hub_check.check(ground(base="open/model", environment={"HF_ENDPOINT": "http://127.0.0.1:9"}))
    assert found.ok is None and "cannot be reached from here" in found.detail
    assert hub_check.check(ground()).ok is None
    absent = hub_check.check(ground(base="/models/mine"))
    assert absent.ok is None and "not on this machine: it could not be looked at" in absent.detail


def test_a_base_of_this_machine_that_cannot_be_trained_is_a_failure(ground: Make, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    found = hub_check.check(ground(base=str(tmp_path / "base")))
    assert found.ok is False and "holds no config.json" in found.detail


def test_a_base_of_the_hub_that_cannot_be_trained_is_a_failure(ground: Make) -> None:
    settings = TRAINABLE | {"tokenizer_config.json": b'{"eos_token": "</s>"}'}
    with serving(Hub(settings)) as url:
        found = hub_check.check(ground(base="open/model", environment={"HF_ENDPOINT": url}))
    assert found.ok is False and "model.base open/model has no chat template" in found.detail
    assert "another model.base" in str(found.fix)


def test_a_hub_that_gives_no_files_in_time_leaves_a_warning(ground: Make) -> None:
    with serving(Hub(TRAINABLE | {"tokenizer_config.json": (503, {}, b"busy")})) as url:
        found = hub_check.check(ground(base="open/model", environment={"HF_ENDPOINT": url}))
    assert found.word == "warning" and "can be fetched by anybody, but its files were not looked at" in found.detail


@pytest.mark.parametrize(
    ("ahead", "ok", "words"),
    [
        (0, True, "within"),
        (90, True, "90 s ahead"),
        (-90, True, "behind"),
        (400, False, "ahead"),
        (-400, False, "behind"),
    ],
)
def test_the_clock_is_compared_with_the_bucket_s(
    ground: Make, monkeypatch: pytest.MonkeyPatch, ahead: float, ok: bool, words: str
) -> None:
    with serving(lambda request: (403, {}, b""), clock=lambda: time.time() - ahead) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        found = clock_check.check(ground(bucket="s3://mine/runs"))
    assert found.ok is ok and (words in found.detail or "89 s" in found.detail or "91 s" in found.detail), found
    assert (found.fix is not None) == (ahead != 0) and (ahead == 0 or "timedatectl" in str(found.fix))


def test_a_bucket_of_ours_is_written_read_and_emptied(ground: Make, cloud: Aws) -> None:
    import boto3

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="mine")
    found = bucket_check.check(ground(bucket="s3://mine/kit"))
    assert found.ok and "written, read, deleted" in found.detail, found
    assert "Contents" not in s3.list_objects_v2(Bucket="mine")


@pytest.mark.parametrize(
    ("places", "words", "advice"),
    [
        (["aws/us-west-2"], "", None),
        (["aws/us-west-2", "gcp/us-central1", "aws"], "", None),
        (["aws/us-west-2", "aws/us-east-1"], "in us-west-2, and what machines in us-east-1 read and write", None),
        (["aws/us-east-1"], "crosses regions, at about $0.02 a GB", "machines in us-west-2, or a bucket in us-east-1"),
    ],
)
def test_a_bucket_of_another_region_costs_what_is_said(
    ground: Make, cloud: Aws, places: list[str], words: str, advice: str | None
) -> None:
    import boto3

    assert cloud
    made = {"LocationConstraint": "us-west-2"}
    boto3.client("s3", region_name="us-west-2").create_bucket(Bucket="mine", CreateBucketConfiguration=made)  # type: ignore[arg-type]
    documents = [{"name": "sft", "resources": {"any_of": [{"infra": place} for place in places]}}]
    found = bucket_check.check(ground(documents, bucket="s3://mine/kit"))
    assert found.ok and words in found.detail and ("crosses" in found.detail) is bool(words), found
    assert (found.fix is None) if advice is None else (advice in str(found.fix))


@pytest.mark.usefixtures("cloud")
def test_a_bucket_that_is_not_there(ground: Make) -> None:
    found = bucket_check.check(ground(bucket="s3://none/kit"))
    assert found.ok is False and found.detail == "there is no bucket none" and "make infra-up" in str(found.fix)


@pytest.mark.parametrize("url", [None, "/some/folder", "file:///some/folder"])
def test_a_folder_is_no_place_for_a_rented_machine(ground: Make, url: str | None) -> None:
    found = bucket_check.check(ground(bucket=url))
    assert (
        found.ok is False and "no rented machine can reach" in found.detail and "CORTEX_BUCKET=s3://" in str(found.fix)
    )


@pytest.mark.parametrize(
    ("url", "name", "value"),
    [("s3://mine", "AWS_ENDPOINT_URL", "minio:9000"), ("gs://mine", "GOOGLE_BASE_URL", "minio:9000")],
)
def test_a_bucket_s_address_may_be_none(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, url: str, name: str, value: str
) -> None:
    assert cloud
    monkeypatch.setenv(name, value)
    found = bucket_check.check(ground(bucket=url))
    assert found.ok is False and f"{name} is '{value}'" in found.detail and f"write http://{value}" in found.detail


@pytest.mark.parametrize("refused", ["everything", "the owner"])
def test_a_bucket_of_another_account(ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    def s3(request: Request) -> Answer:
        if refused == "everything" or "X-Amz-Expected-Bucket-Owner" in request.headers:
            return 403, {}, b""
        return 200, {}, b""

    with serving(s3) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        found = bucket_check.check(ground(bucket="s3://theirs/kit"))
    assert cloud and found.ok is False and "of another account" in found.detail and "AWS_PROFILE" in str(found.fix)


def test_aws_says_who_we_are(ground: Make, cloud: Aws) -> None:
    found = credentials_check.check(ground([{"resources": {"infra": "aws"}}]))
    assert cloud and found.ok and "aws: account 123456789012" in found.detail


@pytest.mark.parametrize(
    ("session", "temporary"), [("ada@example.com", True), ("i-lab", True), ("i-0123456789abcdef0", False)]
)
def test_credentials_that_last_for_hours_are_warned_of(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, session: str, temporary: bool
) -> None:
    role = "arn:aws:iam::123456789012:role/launcher"
    given = aws_api.client("sts").assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    found = credentials_check.check(ground([{"resources": {"infra": "aws"}}]))
    assert cloud and found.ok and f"assumed-role/launcher/{session}" in found.detail
    assert (found.word == "warning") == temporary == ("temporary credentials" in str(found.fix))


@pytest.mark.parametrize(
    ("code", "words", "fix"),
    [
        ("ExpiredToken", "have expired", "aws sso login"),
        ("InvalidClientTokenId", "are not accepted", "aws configure"),
        ("SignatureDoesNotMatch", "clock is wrong", "aws configure"),
    ],
)
def test_credentials_that_aws_refuses(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, code: str, words: str, fix: str
) -> None:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    with serving(lambda request: (403, {"Content-Type": "text/xml"}, body.encode())) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        found = credentials_check.check(ground([{"resources": {"infra": "aws"}}]))
    assert cloud and found.ok is False and words in found.detail and fix in str(found.fix), found


def test_the_one_of_several_profiles_is_named(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = "aws_access_key_id = a\naws_secret_access_key = a\n"
    (tmp_path / "credentials").write_text(f"[default]\n{keys}\n[work]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    plan = [{"resources": {"infra": "aws"}}]
    assert cloud and "profile" not in credentials_check.check(ground(plan)).detail, (
        "the keys of the environment go before it"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "by the profile default of 2 (AWS_PROFILE names another)" in credentials_check.check(ground(plan)).detail
    monkeypatch.setenv("AWS_PROFILE", "work")
    found = credentials_check.check(ground(plan))
    assert found.ok and "profile" not in found.detail


def test_without_credentials_it_says_how_to_give_them(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = [{"resources": {"infra": "aws"}}]
    found = credentials_check.check(ground(plan))
    assert cloud and found.ok is False and found.detail == "aws: no credentials" and "aws configure" in str(found.fix)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    found = credentials_check.check(ground(plan))
    assert found.ok is False and "nobody" in found.detail and "AWS_PROFILE" in str(found.fix)


P5_SPOT, STANDARD_SPOT = "L-C4BD4855", "L-34B43A08"


def offer(kind: str, region: str, *, spot: bool = True) -> Offer:
    return Offer(cloud="aws", region=region, instance_type=kind, spot=spot, dollars_per_hour=1.0)


OFFERS = {
    "data": (offer("m6i.2xlarge", "us-east-1"),),
    "sft": (offer("p5.48xlarge", "us-east-1"), offer("p5.48xlarge", "us-west-2")),
}


@pytest.mark.parametrize(
    ("values", "ok", "words"),
    [
        (
            {("us-east-1", STANDARD_SPOT): 64, ("us-east-1", P5_SPOT): 192, ("us-west-2", P5_SPOT): 192},
            True,
            "fits into",
        ),
        ({("us-east-1", STANDARD_SPOT): 64, ("us-west-2", P5_SPOT): 200}, True, "no spot p5.48xlarge in us-east-1"),
        (
            {("us-east-1", STANDARD_SPOT): 64},
            False,
            "sft: one spot p5.48xlarge in us-east-1 has 192 vCPUs, the quota is 0",
        ),
        ({("us-east-1", P5_SPOT): 191, ("us-east-1", STANDARD_SPOT): 8}, False, "the quota is 191"),
        ({("us-east-1", P5_SPOT): 192, ("us-east-1", STANDARD_SPOT): 4}, False, "data: one spot m6i.2xlarge"),
    ],
)
def test_one_machine_is_compared_with_the_quota(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, values: dict, ok: bool, words: str
) -> None:
    plan = [{"name": "data"}, {"name": "sft"}]
    with serving(quotas(values)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", url)
        found = quota_check.check(ground(plan, rentable=lambda document: OFFERS[document["name"]]))
    assert cloud and found.ok is ok and words in found.detail, found
    if not ok:
        assert "request-service-quota-increase --service-code ec2 --quota-code L-" in str(found.fix)


@pytest.mark.parametrize(("vcpus", "ok"), [(192, True), (96, False)])
def test_a_task_that_may_be_on_demand_has_to_have_room_for_that_too(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, vcpus: int, ok: bool
) -> None:
    both = (offer("p5.48xlarge", "us-east-1"), offer("p5.48xlarge", "us-east-1", spot=False))
    values = {("us-east-1", P5_SPOT): 192, ("us-east-1", "L-417A185B"): vcpus}
    with serving(quotas(values)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", url)
        found = quota_check.check(ground([{"name": "sft"}], rentable=lambda document: both))
    assert cloud and found.ok is ok, found
    if not ok:
        assert "sft: one p5.48xlarge in us-east-1 has 192 vCPUs, the quota is 96" in found.detail
        assert "--quota-code L-417A185B" in str(found.fix)


@pytest.mark.parametrize("known", [True, False])
def test_a_task_that_another_cloud_may_take_is_not_stuck(
    ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    asked: list[str] = []

    def usable(name: str) -> bool:
        asked.append(name)
        return known

    monkeypatch.setattr(quota_check, "usable", usable)
    elsewhere = offer("a3-highgpu-8g", "us-central1").model_copy(update={"cloud": "gcp"})
    with serving(quotas({})) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", url)
        found = quota_check.check(ground([{"name": "sft"}], rentable=lambda document: (*OFFERS["sft"], elsewhere)))
        assert cloud and found.ok is known and asked == ["gcp"], found
        alone = quota_check.check(ground([{"name": "sft"}], rentable=lambda document: (elsewhere,)))
    assert alone.ok is None and "counts against a quota" in alone.detail


@pytest.mark.parametrize(
    ("kind", "spot", "code"),
    [
        ("p5.48xlarge", True, "L-C4BD4855"),
        ("p5en.48xlarge", False, "L-417A185B"),
        ("p4de.24xlarge", True, "L-7212CCBC"),
        ("g6.xlarge", True, "L-3819A6DF"),
        ("gr6.4xlarge", False, "L-DB2E81BA"),
        ("m6i.xlarge", False, "L-1216C47A"),
        ("inf2.xlarge", True, "L-B5D1601B"),
        ("im4gn.large", True, "L-34B43A08"),
        ("trn1.2xlarge", False, "L-2C3B7624"),
        ("hpc7a.96xlarge", True, None),
    ],
)
def test_each_family_counts_against_its_own_limit(kind: str, spot: bool, code: str | None) -> None:
    assert quota_code(kind, spot) == code


def test_quotas_that_are_not_told_are_no_failure(ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = b'{"__type": "AccessDeniedException", "Message": "no"}'
    with serving(lambda request: (400, {"Content-Type": "application/x-amz-json-1.1"}, denied)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", url)
        found = quota_check.check(ground([{"name": "sft"}], rentable=lambda document: OFFERS[document["name"]]))
    assert cloud and found.ok is None and "GetServiceQuota" in found.detail


def test_a_bucket_that_hangs_is_given_up(ground: Make, cloud: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        started = time.monotonic()
        found = bucket_check.check(ground(bucket="s3://mine/kit"))
    assert cloud and found.ok is False and "cannot be asked" in found.detail and time.monotonic() - started < 18
