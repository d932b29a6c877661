import pytest

from cortex.checkpoints.gpu_meter import GpuMeter, GpuUse, nvml_reader


def test_use_is_averaged_since_it_was_asked_for_last() -> None:
    seen = iter([[GpuUse(1.0, 10), GpuUse(0.0, 20)], [GpuUse(0.5, 30), GpuUse(0.0, 5)], [], [GpuUse(0.2, 1)]])
    meter = GpuMeter(lambda: next(seen))
    for now in (0.0, 0.5, 1.0):  # half a second is too soon
        meter.sample(now)
    assert meter.since_last() == {"gpu/busy_mean": 0.375, "gpu/busy_least": 0.0, "gpu/used_gib_most": 30}
    assert meter.since_last() == {}
    meter.sample(2.0)  # a GPU that does not answer
    assert meter.since_last() == {}
    meter.sample(3.0)
    assert meter.since_last()["gpu/busy_mean"] == pytest.approx(0.2)


def test_a_machine_without_a_driver_measures_nothing() -> None:
    meter = GpuMeter()
    meter.sample(0.0)
    assert nvml_reader()() == [] or meter.since_last()
