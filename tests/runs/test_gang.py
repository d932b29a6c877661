"""Two programs of one task, by their real sockets on loopback."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cortex.errors import BudgetError, ConfigError, PreemptedError, RefusedError, StageError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs import gang_follower, gang_leader
from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import Leader
from cortex.runs.node_words import Failed, Noticed, Word
from cortex.runs.nodes import Node, interface_of, require_nodes
from cortex.runs.run_secret import RunSecret
from tests.artifacts.faulty import free_port

SECRET = RunSecret("r1", "a-secret-of-tests-32-letters-long")
BOTH = ("127.0.0.1", "127.0.0.1")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    # A node that starts before the leader listens tries again well within the time that a failed leader waits for it.
    monkeypatch.setattr(gang_follower, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(gang_leader, "FAREWELL_SECONDS", 2.0)
    monkeypatch.setattr(gang_follower, "GONE_SECONDS", 0.5)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def joined(port: int, secret: RunSecret = SECRET, rank: int = 1) -> Follower:
    follower = Follower.join(Node(rank, BOTH), secret, lambda: False, port=port)
    assert follower
    return follower


def heard(leader: Leader) -> list[tuple[int, Word | None]]:
    end, said = time.monotonic() + 10, list[tuple[int, Word | None]]()
    while not said and time.monotonic() < end:
        said += leader.received_words()
        time.sleep(0.01)
    return said


def test_both_start_from_the_leaders_checkpoint_once_both_are_ready(port: int, pool: ThreadPoolExecutor) -> None:
    order: list[str] = []

    def follow() -> str | None:
        with joined(port) as follower:
            assert follower.await_stage() == "sft"
            chosen = follower.await_checkpoint()
            assert (chosen.step, chosen.digest) == (40, "d" * 64)
            assert follower.rendezvous_port == chosen.port
            time.sleep(0.3)
            order.append("ready")
            follower.ready()
            order.append("gone")
            return follower.await_stage()

    with Leader(Node(0, BOTH), SECRET, port=port) as leader:
        leader.begin("sft")
        leader.resume(40, "d" * 64)  # said before anybody has joined: a late one is told all the same
        following = pool.submit(follow)
        leader.assemble(lambda: None)
        assert order[:1] == ["ready"]
    assert following.result(10) is None  # it ended well, and so does the other
    assert order == ["ready", "gone"]


def test_the_leaders_exit_code_is_everybodys(port: int, pool: ThreadPoolExecutor) -> None:
    def follow() -> None:
        with joined(port) as follower:
            follower.await_stage()
            follower.await_stage()

    following = pool.submit(follow)
    with pytest.raises(BudgetError), Leader(Node(0, BOTH), SECRET, port=port) as leader:
        leader.begin("grpo")
        raise BudgetError("the run has spent all")
    with pytest.raises(BudgetError, match="node 0: the run has spent all"):
        following.result(10)


def test_a_node_that_fails_leaves_after_the_leader_and_as_it_does(port: int, pool: ThreadPoolExecutor) -> None:
    """SkyPilot kills all programs of a task as soon as one ends: the leader may be sending a checkpoint."""
    ended: list[float] = []

    def follow() -> None:
        try:
            with joined(port) as follower:
                follower.await_stage()
                raise ConfigError("no room on the disk")
        finally:
            ended.append(time.monotonic())

    following = pool.submit(follow)
    with pytest.raises(ConfigError), Leader(Node(0, BOTH), SECRET, port=port) as leader:
        leader.begin("sft")
        [(rank, word)] = heard(leader)
        assert (rank, word) == (1, Failed(code=78, reason="no room on the disk"))
        time.sleep(0.5)
        assert not ended
        raise gang_leader.fault_of(rank, word)
    with pytest.raises(ConfigError, match="node 0: node 1: no room on the disk"):
        following.result(10)


def test_a_node_that_failed_after_the_model_was_made_does_not_fail_the_task(
    port: int, pool: ThreadPoolExecutor
) -> None:
    def follow() -> str:
        with joined(port) as follower:
            follower.await_stage()
            raise StageError("its trainer fell at the very end")
        return "left quietly"

    with Leader(Node(0, BOTH), SECRET, port=port) as leader:
        following = pool.submit(follow)
        leader.begin("sft")
        assert heard(leader)
    assert following.result(10) == "left quietly"


def test_a_notice_reaches_the_leader(port: int) -> None:
    with Leader(Node(0, BOTH), SECRET, port=port) as leader, joined(port) as follower:
        follower.send_notice("aws spot instance-action", "it is to be taken", 110.0)
        told = Noticed(source="aws spot instance-action", text="it is to be taken", seconds=110.0)
        assert heard(leader) == [(1, told)]


def test_a_node_whose_program_was_killed_is_gone_at_once(port: int) -> None:
    program = (
        "import time; from tests.runs.test_gang import joined\n"
        f"with joined({port}) as follower: print(follower.await_stage(), flush=True); time.sleep(600)"
    )
    with Leader(Node(0, BOTH), SECRET, port=port) as leader:
        leader.begin("sft")
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout and process.stdout.readline() == "sft\n"
            process.kill()
            [(rank, word)] = heard(leader)
    assert isinstance(gang_leader.fault_of(rank, word), PreemptedError)
    assert word is None


def test_a_machine_that_falls_silent_is_gone(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is cut off closes no connection."""
    monkeypatch.setattr("cortex.runs.node_words.SILENT_SECONDS", 0.5)
    monkeypatch.setattr("cortex.runs.node_words.BEAT_SECONDS", 30.0)
    with Leader(Node(0, BOTH), SECRET, port=port) as leader, joined(port):
        assert heard(leader) == [(1, None)]


def test_a_leader_that_is_gone_is_a_preemption(port: int, pool: ThreadPoolExecutor) -> None:
    leader = Leader(Node(0, BOTH), SECRET, port=port)
    leader.__enter__()

    def follow() -> None:
        with joined(port) as follower:
            follower.await_stage()

    following = pool.submit(follow)
    end = time.monotonic() + 10
    while not (links := leader._links) and time.monotonic() < end:  # pyright: ignore[reportPrivateUsage]
        time.sleep(0.01)
    links[1].close(0.0)
    with pytest.raises(PreemptedError, match=r"node 0 \(127\.0\.0\.1\) is gone"):
        following.result(10)
    leader.__exit__(None, None, None)


@pytest.mark.parametrize(
    "intruder",
    [RunSecret("r1", "another-secret-of-32-letters-or-more"), RunSecret("r2", "a-secret-of-tests-32-letters-long")],
)
def test_what_does_not_hold_the_runs_secret_is_not_let_in(port: int, intruder: RunSecret) -> None:
    with Leader(Node(0, BOTH), SECRET, port=port) as leader:
        with pytest.raises(RefusedError, match="does not let node 1 in"):
            joined(port, intruder)
        with joined(port) as follower:  # which takes nobody's place
            leader.begin("sft")
            assert follower.await_stage() == "sft"
            for rank in (1, 0, 2):
                with pytest.raises(RefusedError):
                    joined(port, rank=rank)


def test_a_leader_of_another_run_is_not_believed(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:

        def pretend() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as lines:
                lines.write(json.dumps({"nonce": "n"}).encode() + b"\n")
                lines.flush()
                lines.readline()
                lines.write(json.dumps({"code": "0" * 64}).encode() + b"\n")

        threading.Thread(target=pretend, daemon=True).start()
        with pytest.raises(RefusedError, match="does not hold the run's secret"):
            joined(port)


def test_silent_and_senseless_callers_hold_up_nobody(port: int) -> None:
    with (
        Leader(Node(0, BOTH), SECRET, port=port) as leader,
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)) as senseless,
    ):
        senseless.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 10000)
        with joined(port) as follower:
            leader.begin("sft")
            assert follower.await_stage() == "sft"


def test_a_node_that_does_not_come_is_named(port: int) -> None:
    with (
        pytest.raises(StageError, match=r"node 1 \(127\.0\.0\.1\) did not come within 0 s: .*every port"),
        Leader(Node(0, BOTH), SECRET, port=port) as leader,
    ):
        leader.assemble(lambda: None, 0.3)


def test_a_node_finds_nothing_to_do_where_all_is_done(port: int) -> None:
    assert Follower.join(Node(1, BOTH), SECRET, lambda: True, port=port) is None


def test_an_address_of_another_machine_cannot_be_listened_at(port: int) -> None:
    with pytest.raises(ConfigError, match=r"node 0 cannot listen at 192\.0\.2\.1:"):
        Leader(Node(0, ("192.0.2.1", "192.0.2.2")), SECRET, port=port).__enter__()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Node()),
        ({"SKYPILOT_NODE_IPS": "10.0.0.1", "SKYPILOT_NODE_RANK": "0"}, Node()),
        ({"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": "1"}, Node(1, ("10.0.0.1", "10.0.0.2"))),
    ],
)
def test_skypilot_says_which_machine_this_is(variables: dict[str, str], expected: Node) -> None:
    assert Node.from_environment(variables) == expected


@pytest.mark.parametrize("rank", ["", "2", "-1", "one", "²"])
def test_a_rank_that_cannot_be_is_refused(rank: str) -> None:
    with pytest.raises(ConfigError, match="SKYPILOT_NODE_RANK"):
        Node.from_environment({"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": rank})


def profile(nodes: int) -> Profile:
    return load_profile("cortex-70b-2n", {"hardware.nodes": nodes})


@pytest.mark.parametrize(
    ("nodes", "count", "stages", "fault"),
    [
        (1, 2, ["sft"], r"trains on 1 machine \(hardware.nodes\), and this task has 2"),
        (2, 1, ["grpo"], r"trains on 2 machines .* this task has 1"),
        (2, 3, ["grpo"], "this task has 3"),
        (2, 2, ["export"], "export would run on 2 machines at once"),
        (2, 2, ["sft", "release"], "release would run on 2 machines"),
        (1, 2, ["data", "label"], "data and label would run on 2 machines"),
    ],
)
def test_machines_that_the_profile_does_not_know_are_refused(
    nodes: int, count: int, stages: list[str], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        require_nodes(Node(0, ("10.0.0.1",) * count), stages, profile(nodes))


@pytest.mark.parametrize(("nodes", "count", "stages"), [(1, 1, ["data", "sft"]), (2, 2, ["sft"]), (2, 1, ["data"])])
def test_machines_that_the_profile_knows_are_taken(nodes: int, count: int, stages: list[str]) -> None:
    require_nodes(Node(0, ("10.0.0.1",) * count), stages, profile(nodes))


def test_the_interface_of_an_address_is_found() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.1") is None
    assert Node(1, BOTH).network_variables() == {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    assert Node().network_variables() == {}
