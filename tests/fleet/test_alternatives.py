"""A list of accelerators stands for its alternatives written out."""

from typing import Any

import pytest

from cortex.fleet.clouds.abilities import Target
from cortex.fleet.tasks.alternatives import fit_alternatives
from cortex.profiles.profile_sections import Hardware

KINDS = ("H100:8", "H200:8", "A100-80GB:8")
CLOUDS = ("aws", "gcp", "azure")
COMMON = {"disk_size": 1024, "use_spot": True}
HARDWARE = Hardware.model_validate({"device": "cuda", "gpus": 4, "accelerator": "H200", "threads": 8})


@pytest.mark.parametrize("bucket", ["s3://kit", "gs://kit", "az://kit", "/a/folder"])
@pytest.mark.parametrize("target", [None, Target("gcp"), Target("vast")], ids=str)
@pytest.mark.parametrize("hardware", [None, HARDWARE], ids=["as the task says", "of the profile"])
@pytest.mark.parametrize("named", [{}, {"infra": "aws/us-east-1"}], ids=["any cloud", "one place"])
def test_a_list_is_what_it_stands_for(
    bucket: str, target: Target | None, hardware: Hardware | None, named: dict[str, Any]
) -> None:
    places = [named] if named else [{"infra": cloud} for cloud in CLOUDS]
    written_out = [{**place, "accelerators": kind} for kind in KINDS for place in places]
    secrets = {"AWS_ACCESS_KEY_ID": "", "GOOGLE_SERVICE_ACCOUNT_KEY": "", "AZURE_STORAGE_ACCOUNT_KEY": ""}
    given = secrets if target or named else {}

    def fit(resources: dict[str, Any]) -> list[dict[str, Any]]:
        task = {"name": "sft", "resources": {**COMMON, **resources}, "secrets": given}
        made = fit_alternatives(task, hardware, 4, bucket, target=target)
        common = {key: value for key, value in made.items() if key != "ordered"}
        return [{**common, **entry} for entry in made.get("ordered", [{}])]

    found = fit({**named, "accelerators": list(KINDS)})
    assert found == fit({"ordered": written_out})
    first = "H200:4" if hardware else "H100:8"
    assert found[0]["accelerators"] == first and len({entry["accelerators"] for entry in found}) == 3
