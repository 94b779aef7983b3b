"""Indirect effects: shares recovered, means over facts and relations, who takes over and when."""

import numpy as np
import pytest

from companion.errors import InputError
from companion.interventions import Fact, Tracing, trace
from companion.interventions.indirect_effect import (
    average,
    by_relation,
    exchange,
    over_facts,
    shares,
    strongest,
)
from companion.statistics.intervals import around


def spread(dataset):
    """The same facts with answers brought back in part: 90 %, 80 % ... of the planted share."""
    factor = 1 - 0.1 * np.arange(1, dataset.sizes["prompt"] + 1)
    gained = (dataset.probability - 0.1) * factor[:, None, None, None]
    return dataset.assign(probability=0.1 + gained)


def test_shares_run_from_nothing_to_the_whole(planted_trace):
    found = average(planted_trace())
    np.testing.assert_allclose(found.estimate.sel(role="last"), [0, 0, 1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(
        found.estimate.sel(role="end of subject"), [1, 1, 0.375, 0, 0], atol=1e-12
    )
    assert found.estimate.sel(role="after").isnull().all()


def test_unknown_facts_are_left_out_of_the_mean(planted_trace):
    found = average(planted_trace(known=(True, False)))
    assert int(found.facts.max()) == 1
    assert found.low.isnull().all()
    with pytest.raises(InputError, match="knows none of the facts"):
        average(planted_trace(known=(False, False)))


def test_without_relations_the_interval_is_students_t_over_facts(planted_trace):
    found = spread(planted_trace())
    one = average(found).sel(layer=0, role="end of subject")
    expected = around(0.85, 0.1 / 2, 1)  # two facts: half their distance, one degree of freedom
    np.testing.assert_allclose([one.low, one.high], [expected.low, expected.high])


def test_facts_of_one_relation_do_not_count_as_independent(planted_trace):
    prompts, known = tuple("abcd"), (True,) * 4
    alone = average(spread(planted_trace(known, prompts)))
    paired = average(spread(planted_trace(known, prompts, ["x", "x", "y", "y"])))
    single = average(spread(planted_trace(known, prompts, ["x"] * 4)))
    at = {"layer": 0, "role": "end of subject"}
    width = {
        name: d.sel(at).high - d.sel(at).low
        for name, d in locals().items()
        if name in ("alone", "paired", "single")
    }
    assert width["paired"] > width["alone"]
    np.testing.assert_allclose(width["single"], width["alone"])
    np.testing.assert_allclose(paired.estimate, alone.estimate)


def test_the_exchange_of_a_planted_trace(planted_trace):
    found = exchange(planted_trace())
    np.testing.assert_allclose(found.handover, 2 / 5)  # layers 0 and 1 of 0..4
    np.testing.assert_allclose(found.largest_step, 1)
    np.testing.assert_array_equal(found.step_to, 2)
    assert over_facts(found.handover).estimate == pytest.approx(0.4)


def test_an_exchange_in_equal_steps_has_steps_of_one_over_the_depth(planted_trace):
    even = planted_trace()
    share = np.arange(5) / 4
    even.probability[..., 2] = 0.1 + 0.8 * share
    even.probability[..., 1] = 0.9 - 0.8 * share
    found = exchange(even)
    np.testing.assert_allclose(found.largest_step, 1 / 4)
    np.testing.assert_allclose(found.handover, 2 / 5)


def test_facts_without_an_end_of_subject_of_their_own_have_no_exchange(planted_trace):
    found = planted_trace()
    found.role[0] = ["before", "before", "last"]
    assert np.isnan(exchange(found).handover).values.tolist() == [True, False]
    assert shares(found).sel(role="last").notnull().all()


def test_relations_come_in_the_order_of_the_file(planted_trace):
    found = planted_trace((True, True, False), tuple("abc"), ["y", "x", "z"])
    parts = by_relation(found)
    assert list(parts) == ["y", "x"]  # nothing of z is known
    assert parts["x"].prompt.values.tolist() == ["b"]
    assert list(by_relation(found.drop_vars("relation"))) == [""]


def test_the_largest_drop_comes_first(llama):
    facts = [Fact("import {subject} as", s, " np") for s in ("numpy", "z", "qqq")]
    found = trace(llama, facts, Tracing(draws=2))
    drop = found.probability_clean - found.probability_corrupted.mean("noise")
    order = strongest(found, 2)
    assert order == np.argsort(-drop.values)[:2].tolist()
