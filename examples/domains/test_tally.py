import pytest

from cortex.domains.contract import check_domain
from cortex.domains.registry import read_domain
from cortex.settings import Settings


@pytest.mark.parametrize("seed", [0, 1])
def test_it_keeps_the_contract_of_domains(seed: int) -> None:
    broken = [kept for kept in check_domain(read_domain({"kind": "tally"}), Settings(), seed) if not kept.kept]
    assert not broken
