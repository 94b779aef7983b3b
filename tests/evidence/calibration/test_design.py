"""What is trained: designs read, checked and taken apart."""

from __future__ import annotations

import pytest

from companion.errors import InputError
from companion.toy.calibration.design import design, named, tasks


@pytest.mark.parametrize("name", ["calibration", "calibration-quick", "averaging", "shapes"])
def test_designs_that_come_with_the_package_can_be_taken_apart(name):
    assert name in named()
    chosen = design(name)
    assert design(chosen.to_dict()) == chosen
    widths = [task.spec.width for task in tasks(chosen)]
    assert widths == sorted(widths)
    assert len({task.name for task in tasks(chosen)}) == len(widths)


def test_the_stored_set_is_large_enough():
    networks = {"ensemble": 0, "procedural": 0, "compositional": 0, "mixture": 0}
    for task in tasks(design("calibration")):
        assert task.spec.depths == (4, 8, 12, 24)
        networks[task.regime] += task.spec.members * len(task.spec.depths)
    assert min(networks.values()) >= 30


def test_gains_take_turns_over_the_replicates_of_each_rho(tiny):
    task = tasks(tiny)[0]
    assert [task.gain(teacher) for teacher in range(2)] == [2, 4]


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("nowhere.yaml", "nowhere"),
        ({"name": "x", "common": {}, "regimes": {"chaos": {}}}, "chaos"),
        ({"name": "x", "common": {}, "regimes": {}}, "regimes"),
        ({"name": "x", "common": {}, "regimes": {"mixture": {}}, "width": 3}, "width"),
    ],
)
def test_what_cannot_be_is_refused(source, wrong):
    with pytest.raises(InputError, match=wrong):
        design(source)
