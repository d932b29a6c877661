"""The way to SkyPilot's server: opened once, used by all, and a sentence with its fix where it cannot be."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from moto import mock_aws
from sky.server import common

from cortex.errors import ConfigError
from cortex.fleet.clouds import tunnel as tunnel_module
from cortex.fleet.clouds.skypilot import reaching_skypilot
from cortex.fleet.clouds.tunnel import PLUGIN, Tunnel, find_tunnel
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.preflight.tools_check import check
from cortex.fleet.watch.job_state import JobWatcher
from cortex.profiles.profile import Profile
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import free_port
from tests.fleet.clouds.session_manager import SessionManager, skypilot_server

INSTANCE = "i-0123456789abcdef0"


@pytest.fixture
def server() -> Iterator[int]:
    with skypilot_server() as port:
        yield port


@pytest.fixture
def manager(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch) -> SessionManager:
    found = SessionManager(tmp_path / "bin", server)
    monkeypatch.setenv("PATH", str(found.folder))
    return found


@pytest.fixture
def tunnel(tmp_path: Path) -> Iterator[Tunnel]:
    made = Tunnel(INSTANCE, "us-east-1", free_port(), tmp_path / "home" / "tunnels")
    yield made
    made.close()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An emulated account's EC2 client, and the id of one machine."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        client = boto3.client("ec2", region_name="us-east-1")
        image = client.register_image(Name="server", RootDeviceName="/dev/sda1")["ImageId"]
        found = client.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
        yield client, found["InstanceId"]


def asks(port: int) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{port}/api/health", timeout=10) as answer:
        return json.load(answer)["status"]


def test_it_leads_to_the_server_and_is_opened_once(manager: SessionManager, tunnel: Tunnel) -> None:
    assert tunnel.open() and asks(tunnel.port) == "healthy"
    assert not tunnel.open()
    (words,) = manager.asked
    assert words[:4] == ["ssm", "start-session", "--target", INSTANCE]
    assert words[words.index("--document-name") + 1] == "AWS-StartPortForwardingSession"
    assert words[words.index("--parameters") + 1] == f"portNumber=46580,localPortNumber={tunnel.port}"
    assert words[words.index("--region") + 1] == "us-east-1"


def test_of_many_at_once_one_opens_it(manager: SessionManager, tunnel: Tunnel) -> None:
    opened: list[bool] = []
    threads = [threading.Thread(target=lambda: opened.append(tunnel.open())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False] * 5 + [True] and len(manager.asked) == 1


def test_it_outlives_the_program_that_opened_it_and_its_ctrl_c(manager: SessionManager, tunnel: Tunnel) -> None:
    text = (
        "import os, signal, sys; from pathlib import Path; from cortex.fleet.clouds.tunnel import Tunnel;"
        f"Tunnel({INSTANCE!r}, 'us-east-1', {tunnel.port}, Path({str(tunnel.folder)!r})).open();"
        "os.killpg(0, signal.SIGINT)"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=CHECKOUT, start_new_session=True, capture_output=True, check=False
    )
    assert done.returncode != 0 and asks(tunnel.port) == "healthy"
    assert not tunnel.open() and tunnel.close()
    with pytest.raises(OSError):
        asks(tunnel.port)
    assert not tunnel.close()


def test_one_that_somebody_else_opened_is_used_and_left_alone(server: int, tmp_path: Path) -> None:
    by_hand = Tunnel(INSTANCE, None, server, tmp_path / "tunnels")
    assert not by_hand.open() and not by_hand.close()
    assert asks(server) == "healthy"


@pytest.mark.integration
def test_one_that_lost_its_network_gives_way_to_another(manager: SessionManager, tunnel: Tunnel) -> None:
    assert tunnel.open()
    process = psutil.Process(json.loads((tunnel.folder / f"{tunnel.port}.json").read_text())["process"])
    plugin = process.children()[0]
    plugin.suspend()  # it holds the port, and nothing comes through
    assert tunnel.open() and asks(tunnel.port) == "healthy"
    assert not psutil.pid_exists(plugin.pid) or plugin.status() == psutil.STATUS_ZOMBIE


def test_one_that_ended_is_opened_again(manager: SessionManager, tunnel: Tunnel) -> None:
    assert tunnel.open()
    os.killpg(json.loads((tunnel.folder / f"{tunnel.port}.json").read_text())["process"], signal.SIGKILL)
    assert tunnel.open() and asks(tunnel.port) == "healthy"


@pytest.mark.parametrize(
    "record", ["", "{}", "[]", '{"process": 1, "since": 0, "instance": "i-1"}', '{"process": "x"}']
)
def test_a_record_that_says_nothing_true_is_no_session(manager: SessionManager, tunnel: Tunnel, record: str) -> None:
    tunnel.folder.mkdir(parents=True)
    (tunnel.folder / f"{tunnel.port}.json").write_text(record)
    assert tunnel.open() and psutil.pid_exists(1)


def test_a_port_of_another_stack_is_not_used_for_this_one(manager: SessionManager, tunnel: Tunnel) -> None:
    assert tunnel.open()
    other = Tunnel("i-0fedcba9876543210", None, tunnel.port, tunnel.folder)
    with pytest.raises(ConfigError, match=rf"leads to another stack's server, {INSTANCE}: .*server.port"):
        other.open()
    assert not other.close() and asks(tunnel.port) == "healthy"
    assert tunnel.close(), "its own stack still knows who opened it"


@pytest.mark.integration
def test_a_port_of_another_program_is_said_to_be_one(manager: SessionManager, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match=r"another program's.*server.port"),
    ):
        Tunnel(INSTANCE, None, taken.getsockname()[1], tmp_path / "t").open()
    with skypilot_server(body='{"other": 1}') as port, pytest.raises(ConfigError, match="another program's"):
        Tunnel(INSTANCE, None, port, tmp_path / "t").open()
    assert manager.asked == []


@pytest.mark.parametrize("program", ["aws", PLUGIN])
def test_a_program_that_is_missing_is_named_with_where_it_is_had(
    manager: SessionManager, tunnel: Tunnel, program: str
) -> None:
    (manager.folder / program).unlink()
    with pytest.raises(ConfigError, match=rf"without {program}, which is not on PATH: "):
        tunnel.open()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("(ExpiredTokenException) when calling StartSession: expired", r"do not hold .*aws sso login.*runs go on"),
        ("Unable to locate credentials. You can configure", r"do not hold .*aws configure"),
        ("Token has expired and refresh failed", r"do not hold .*aws sso login"),
        ("(AccessDeniedException) when calling StartSession: no", r"may not open a session.*make infra-policy"),
    ],
)
def test_what_aws_refuses_is_said_with_its_fix(
    manager: SessionManager, tunnel: Tunnel, said: str, message: str
) -> None:
    manager.refuse(said)
    with pytest.raises(ConfigError, match=message) as error:
        tunnel.open()
    assert "\n" not in str(error.value)


NOT_CONNECTED = "(TargetNotConnected) when calling the StartSession operation: is not connected."


@pytest.mark.parametrize(
    ("become", "message"),
    [
        (None, r"is running: it is up, and not yet known to Session Manager"),
        ("stop_instances", r"is stopped: start it: `aws ec2 start-instances --region us-east-1 --instance-ids i-"),
        ("terminate_instances", r"is terminated: make another with `make infra-up RENEW=1`.*make resume"),
    ],
)
def test_a_machine_that_is_not_up_is_said_to_be_so(
    manager: SessionManager, tmp_path: Path, machine: Any, become: str | None, message: str
) -> None:
    client, instance = machine
    if become:
        getattr(client, become)(InstanceIds=[instance])
    manager.refuse(NOT_CONNECTED)
    with pytest.raises(ConfigError, match=message):
        Tunnel(instance, "us-east-1", free_port(), tmp_path / "tunnels").open()


def test_a_machine_that_is_not_there_any_more_is_gone(manager: SessionManager, tunnel: Tunnel, machine: Any) -> None:
    manager.refuse(NOT_CONNECTED)
    with pytest.raises(ConfigError, match=rf"{INSTANCE} is gone: make another"):
        tunnel.open()


def test_a_machine_that_nobody_can_ask_about_is_told_in_awss_words(
    manager: SessionManager, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
    manager.refuse(NOT_CONNECTED)
    with pytest.raises(ConfigError, match=r"no session to .* comes up: An error occurred: \(TargetNotConnected\)"):
        tunnel.open()


def test_a_server_that_is_still_being_installed_is_said_to_be(
    manager: SessionManager, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel_module, "OPENING", 1.0)
    (manager.folder / "server").write_text(str(free_port()))
    with pytest.raises(ConfigError, match=r"is reached, and SkyPilot's server there has not answered.*being installed"):
        tunnel.open()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", tunnel.port))  # nothing is left behind


@pytest.fixture
def named(tmp_path: Path, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tunnel]:
    """The kit's files name the server, as `make infra-up` writes them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CORTEX_SERVER", INSTANCE)
    monkeypatch.setenv("SKYPILOT_API_SERVER_ENDPOINT", f"http://127.0.0.1:{tunnel.port}")
    forget_server()
    yield tunnel
    forget_server()


def forget_server() -> None:
    """Clear SkyPilot's cache: it looks up the server's name once in a process."""
    asked: list[Any] = [common.get_server_url, common.is_api_server_local]
    for function in asked:
        function.cache_clear()


def test_whatever_asks_skypilot_opens_it_first(manager: SessionManager, named: Tunnel) -> None:
    with reaching_skypilot("look"):
        assert asks(named.port) == "healthy"


def test_what_cannot_be_opened_ends_the_verb_in_a_sentence(manager: SessionManager, named: Tunnel) -> None:
    (manager.folder / PLUGIN).unlink()
    refusal = rf"^cannot look: SkyPilot's server cannot be reached without {PLUGIN}"
    with pytest.raises(ConfigError, match=refusal), reaching_skypilot("look"):
        pytest.fail("SkyPilot was asked")


def test_a_view_goes_on_by_the_bucket_alone(manager: SessionManager, named: Tunnel) -> None:
    manager.refuse("(ExpiredTokenException) when calling StartSession: expired")
    watcher = JobWatcher("r1", patience=20)
    watcher.look({"event": "launched", "time": 0, "epoch": 1, "job": 1})
    assert watcher.state is None and "runs go on meanwhile" in str(watcher.unasked)


def test_a_server_that_the_user_named_instead_needs_no_way(named: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPILOT_API_SERVER_ENDPOINT", "https://sky.example.com")
    forget_server()
    assert find_tunnel(Settings()) is None
    monkeypatch.delenv("CORTEX_SERVER")
    assert find_tunnel(Settings()) is None


def test_a_server_without_its_port_starts_none_on_this_machine(named: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKYPILOT_API_SERVER_ENDPOINT")
    forget_server()
    with pytest.raises(ConfigError, match=r"api_server.endpoint is not in .sky.yaml: `make infra-up` writes it"):
        find_tunnel(Settings())


@pytest.mark.parametrize("missing", ["aws", PLUGIN, None])
def test_preflight_looks_for_what_opens_it(
    manager: SessionManager, named: Tunnel, profile: Profile, missing: str | None
) -> None:
    if missing:
        (manager.folder / missing).unlink()
    found = check(Ground(profile, None, Settings(), []))
    assert found.ok is (missing is None)
    assert missing is None or (missing in found.detail and f"{missing}: " in str(found.fix))


@pytest.mark.integration
def test_the_verbs_open_and_close_it(manager: SessionManager, named: Tunnel) -> None:
    def cortex(*words: str) -> "subprocess.CompletedProcess[str]":
        variables = os.environ | {"CORTEX_ENV_FILE": os.devnull}
        return subprocess.run(
            [sys.executable, "-m", "cortex", *words],
            cwd=CHECKOUT,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    assert cortex("server", "connect").stdout == f"http://127.0.0.1:{named.port} now leads to {INSTANCE}\n"
    assert asks(named.port) == "healthy"
    assert "leads already" in cortex("server", "connect").stdout
    assert "no longer leads" in cortex("server", "disconnect").stdout
    (manager.folder / PLUGIN).unlink()
    refused = cortex("server", "connect")
    assert refused.returncode == 78 and refused.stderr.startswith("error: SkyPilot's server cannot be reached")
