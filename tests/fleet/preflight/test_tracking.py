"""The check of a profile's trackers, against servers on loopback."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cortex.fleet.preflight import tracking_check
from cortex.fleet.preflight.ground import Ground
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from tests.fleet.services import DIGEST, Answer, Request, hanging, serving

pytestmark = pytest.mark.integration

GRPO = {"name": "grpo", "run": "cortex run dpo grpo", "resources": {"image_id": "docker:cortex-grpo"}}


def ground(trackers: list[str], *documents: dict[str, Any], **environment: str) -> Ground:
    profile = load_profile("cortex-8b", {"tracking": trackers})
    return Ground(profile, None, Settings(), list(documents or [GRPO]), environment=environment)


def wandb(request: Request) -> Answer:
    """wandb's answer about a key's owner; for an invalid key some versions answer 401, others no user."""
    assert (request.method, request.path) == ("POST", "/graphql") and "viewer" in json.loads(request.body)["query"]
    key = base64.b64decode(request.authorization.removeprefix("Basic ")).decode()
    if key == "api:stale":
        return 401, {}, b"{}"
    viewer = {"username": "ada"} if key == "api:good" else None
    return 200, {"Content-Type": "application/json"}, json.dumps({"data": {"viewer": viewer}}).encode()


def mlflow(request: Request) -> Answer:
    assert request.path.startswith("/api/2.0/mlflow/experiments/search")
    return (200, {}, b"{}") if request.authorization == "Bearer good" else (401, {}, b"You are\nnot authenticated")


def test_a_profile_without_trackers_and_one_that_needs_nothing() -> None:
    assert tracking_check.check(ground([])).ok is None
    assert tracking_check.check(ground(["tensorboard", "trackio"])).word == "ok"


@pytest.mark.parametrize(
    ("tracker", "variables", "missing"),
    [
        ("wandb", {}, "WANDB_API_KEY"),
        ("wandb", {"WANDB_API_KEY": ""}, "WANDB_API_KEY"),
        ("wandb", {"WANDB_MODE": "online"}, "WANDB_API_KEY"),
        ("mlflow", {"MLFLOW_TRACKING_TOKEN": "k"}, "MLFLOW_TRACKING_URI"),
        ("trackio", {"TRACKIO_SPACE_ID": "me/space"}, "HF_TOKEN"),
    ],
)
def test_a_key_that_is_not_set_fails_with_how_to_set_it(tracker: str, variables: dict[str, str], missing: str) -> None:
    found = tracking_check.check(ground(["tensorboard", tracker], **variables))
    assert found.ok is False and f"{missing} is not set, and the profile draws in {tracker}" in found.detail
    assert f"export {missing}=" in str(found.fix) and f"take {tracker} out of `tracking`" in str(found.fix)


def test_an_offline_run_needs_no_key() -> None:
    assert tracking_check.check(ground(["wandb"], WANDB_MODE="offline")).word == "ok"
    assert tracking_check.check(ground(["trackio"], TRACKIO_SPACE_ID="me/space", HF_TOKEN="k")).word == "ok"


@pytest.mark.parametrize(("key", "ok"), [("good", True), ("stale", False), ("unknown", False)])
def test_wandb_is_asked_whether_it_knows_the_key(key: str, ok: bool) -> None:
    with serving(wandb) as url:
        found = tracking_check.check(ground(["wandb"], WANDB_BASE_URL=url, WANDB_API_KEY=key))
    assert found.ok is ok and (found.fix is None) is ok, found
    assert ok or "does not accept WANDB_API_KEY" in found.detail
    assert key not in found.detail + str(found.fix)


@pytest.mark.parametrize(("token", "ok"), [("good", True), ("stale", False), ("", False)])
def test_mlflow_is_asked_whether_it_lets_us_in(token: str, ok: bool) -> None:
    with serving(mlflow) as url:
        found = tracking_check.check(ground(["mlflow"], MLFLOW_TRACKING_URI=url, MLFLOW_TRACKING_TOKEN=token))
    assert found.ok is ok and (found.fix is None) is ok, found
    assert ok or ("does not let us in" in found.detail and "\n" not in found.detail)


@pytest.mark.parametrize("answer", [(503, {}, b"busy"), (200, {}, b"<html>"), (200, {}, b"[" * 9000), (200, {}, b"[]")])
def test_a_server_that_is_down_or_none_is_a_warning(answer: Answer) -> None:
    with serving(lambda request: answer) as url:
        both = ground(["wandb", "mlflow"], WANDB_BASE_URL=url, WANDB_API_KEY="good", MLFLOW_TRACKING_URI=url)
        found = tracking_check.check(both)
    assert found.word == "warning", found
    assert "wandb could not be asked" in found.detail and "mlflow could not be asked" in found.detail
    assert "a training goes on undrawn" in str(found.fix)


def test_a_key_that_a_server_sends_back_is_not_shown() -> None:
    with serving(lambda request: (401, {}, f"no {request.authorization}".encode())) as url:
        found = tracking_check.check(ground(["mlflow"], MLFLOW_TRACKING_URI=url, MLFLOW_TRACKING_TOKEN="hush-hush"))
    assert found.ok is False and "no Bearer $MLFLOW_TRACKING_TOKEN" in found.detail


def test_servers_that_hang_are_waited_for_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_check, "_SECONDS", 0.2)
    with hanging() as url:
        found = tracking_check.check(
            ground(["wandb", "mlflow"], WANDB_BASE_URL=url, WANDB_API_KEY="k", MLFLOW_TRACKING_URI=url)
        )
    assert found.word == "warning", found


@pytest.mark.parametrize(
    ("tracker", "variables", "words"),
    [
        ("mlflow", {"MLFLOW_TRACKING_URI": "mlflow:5000"}, "MLFLOW_TRACKING_URI: does not begin with http"),
        ("mlflow", {"MLFLOW_TRACKING_URI": "https://me:hush@mlflow"}, "holds a user's name before an @"),
        ("mlflow", {"MLFLOW_TRACKING_URI": "http://far", "MLFLOW_TRACKING_TOKEN": "hush"}, "over plain HTTP"),
        ("wandb", {"WANDB_BASE_URL": "http://far", "WANDB_API_KEY": "hush"}, "over plain HTTP"),
    ],
)
def test_an_address_that_is_none_or_lays_a_key_open_fails(tracker: str, variables: dict[str, str], words: str) -> None:
    found = tracking_check.check(ground([tracker], **variables))
    assert found.ok is False and words in found.detail and "hush" not in found.detail, found


def test_an_image_that_lacks_a_trackers_package_is_named(tmp_path: Path) -> None:
    data = {"name": "mine", "run": "cortex run sft", "resources": {"image_id": "docker:cortex-data"}}
    found = tracking_check.check(ground(["wandb"], data, WANDB_API_KEY="k"))
    assert found.ok is False and found.detail == "wandb is not in the image data"
    assert "name wandb in images/data/requirements.in, then `make locks" in str(found.fix)
    digests = tmp_path / "digests.json"
    digests.write_text(json.dumps({"data": f"registry.example/kit/data@{DIGEST}"}))
    pushed = {**data, "resources": {"image_id": f"docker:registry.example/kit/data@{DIGEST}"}}
    assert tracking_check.lacking_images("trackio", replace(ground(["trackio"], pushed), digests=digests)) == ["data"]
    other = {**data, "resources": {"image_id": "docker:somebody/trainer"}}
    assert tracking_check.lacking_images("wandb", ground(["wandb"], other, {**data, "run": "cortex run data"})) == []
    assert tracking_check.lacking_images("mlflow", ground(["mlflow"], data)) == []
