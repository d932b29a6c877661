"""What a stack's settings change in what is made."""

import pytest

pytest.importorskip("pulumi", reason="the infra environment is not installed: images/infra/requirements.lock")

from tests.infra.world import bring_up, emulated_cloud


def test_a_development_stack_goes_with_all_it_holds() -> None:
    with emulated_cloud():
        world = bring_up(protect_data=False)
    assert not any(world.protected.values())
    for kind, field in (("Bucket", "force_destroy"), ("Repository", "force_delete")):
        assert all(resource.inputs[field] for resource in world.of_type(kind))
    assert {resource.inputs["recovery_window_in_days"] for resource in world.of_type("Secret")} == {0}


def test_without_a_second_bucket_there_is_none() -> None:
    with emulated_cloud():
        world = bring_up(gcs=None)
    assert world.outputs.gcs_bucket is None
    assert not any(resource.type.startswith("gcp:") for resource in world.declared)


def test_adding_a_zone_moves_no_other() -> None:
    def places(*zones: str) -> dict[str, str]:
        with emulated_cloud():
            world = bring_up(zones=list(zones))
            return {found["AvailabilityZone"]: found["CidrBlock"] for found in world.in_vpc("subnets")}

    before, after = places("b", "c"), places("a", "b", "c", "d")
    assert before.items() <= after.items() and len(set(after.values())) == 4
