"""`cortex rent`: a machine of the fake cloud's, which goes by itself once nobody uses it."""

import yaml

from cortex.fleet.clouds.job_names import cluster_name
from cortex.fleet.tasks.run_tasks import find_job
from tests.testbed.conftest import Inside, until


def test_a_workbench_comes_up_and_goes_when_it_is_idle(inside: Inside) -> None:
    before = {machine["id"] for machine in inside.machines()}
    workbench = yaml.safe_load(find_job("workbench").read_text())
    stop = workbench["resources"]["autostop"]
    # No image, no GPU, and the shortest time that SkyPilot counts; its way to stop is the file's own.
    bare = {"infra": "aws", "cpus": "4+", "autostop": {**stop, "idle_minutes": 1}}
    job = inside.write("bench.yaml", yaml.safe_dump({**workbench, "resources": bare, "run": "hostname"}))
    rented = inside.succeed("cortex", "rent", job, "--yes")
    assert f"{cluster_name('bench')} is up: `ssh {cluster_name('bench')}`" in rented
    [machine] = [machine for machine in inside.machines() if machine["id"] not in before]
    assert not machine["spot"]
    # OpenSSH asks the system for its user's home, which the bed's programs do not share: so the file is named.
    config = inside.bed.place.home / ".sky" / "generated" / "ssh" / cluster_name("bench")
    assert inside.succeed("ssh", "-F", config, cluster_name("bench"), "hostname")
    until(lambda: machine["id"] not in {each["id"] for each in inside.machines()}, "its end by itself", every=5)
