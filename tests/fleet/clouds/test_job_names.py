from hypothesis import given
from hypothesis import strategies as st
from sky.clouds import AWS, GCP, Kubernetes
from sky.utils import common_utils

from cortex.fleet.clouds.job_names import BUCKET_TAG, RUN_TAG, bucket_label, cluster_name, job_name, run_label
from cortex.profiles.profile import Profile
from cortex.runs.context import new_run_id

RUNS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", fullmatch=True)
"""Names that a run may have."""


def test_the_ids_that_the_kit_makes_stay_readable(profile: Profile) -> None:
    run = new_run_id(profile)
    assert run_label(run) == run
    assert job_name(run) == cluster_name(run) == f"cortex-{run}"


@given(RUNS)
def test_every_cloud_takes_the_tag_and_skypilot_the_names(run: str) -> None:
    for cloud in (AWS, GCP, Kubernetes):
        assert cloud.is_label_valid(RUN_TAG, run_label(run)) == (True, None)
    common_utils.check_cluster_name_is_valid(cluster_name(run))
    assert len(job_name(run)) <= 63


@given(st.sets(RUNS, min_size=2, max_size=2))
def test_two_runs_never_share_a_name(runs: set[str]) -> None:
    assert len({run_label(run) for run in runs}) == 2


def test_a_bucket_has_one_tag_that_every_cloud_takes_and_no_other_bucket_has() -> None:
    urls = ["s3://kit", "s3://kit/dev", "gs://kit", "s3://kit-dev", f"az://{'long' * 40}"]
    assert len({bucket_label(url) for url in urls}) == len(urls)
    assert bucket_label("s3://kit/") == bucket_label("s3://kit")
    for cloud in (AWS, GCP, Kubernetes):
        assert all(cloud.is_label_valid(BUCKET_TAG, bucket_label(url)) == (True, None) for url in urls)


def test_ids_that_differ_only_in_what_a_tag_cannot_hold_stay_apart() -> None:
    alike = ["My.Run", "my.run", "my_run", "my-run", "my--run", "-my-run", "my-run-"]
    assert len({run_label(run) for run in alike}) == len(alike)
    assert run_label("my-run") == "my-run"
    assert len({run_label("a" * length) for length in range(50, 70)}) == 20
