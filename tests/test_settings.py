"""Settings hold what they promise, and say what is wrong in one sentence with the remedy."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from companion.errors import InputError
from companion.settings import Distinct, Number, Values, Whole, describe, one_of, settings

Count = Annotated[Whole, Field(ge=1)]


@settings("recipe")
class Recipe:
    name: str
    sizes: Values[Count] = (1,)
    marks: Distinct[Whole] = ()
    share: Annotated[Number, Field(ge=0, le=1)] = 0.5
    inner: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    rate: Annotated[Number, Field(gt=0)] | None = None
    kind: Literal["a", "b"] = "a"
    block: Annotated[str, one_of(["x", "y"])] = "x"
    quick: bool = False

    @model_validator(mode="after")
    def _check_together(self) -> Recipe:
        if self.quick and len(self.sizes) > 1:
            raise InputError("a quick recipe has one size")
        return self


def test_numbers_that_yaml_takes_for_words_lists_and_whole_floats():
    recipe = Recipe("r", sizes=["4e6", 2.0], rate="1e-3")
    assert (recipe.sizes, recipe.rate) == ((4_000_000, 2), 1e-3)
    assert isinstance(recipe.sizes[0], int)


def test_it_is_a_frozen_dataclass_that_is_checked_again_when_replaced():
    recipe = Recipe("r")
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.name = "s"
    assert dataclasses.replace(recipe, sizes=(3,)).sizes == (3,)
    with pytest.raises(InputError, match="sizes 0 must be 1 or more, whole"):
        dataclasses.replace(recipe, sizes=(0,))


REFUSALS = {
    "recipe key 'size' is unknown: did you mean 'sizes'?": {"size": 1},
    "recipe key 'qqq' is unknown: the keys are name, sizes, marks": {"qqq": 1},
    "name 3 must be a text": {"name": 3},
    "the recipe has no sizes": {"sizes": []},
    "sizes 3 must be a list, such as [1]": {"sizes": 3},
    "sizes 'ab' must be a list, such as [1]": {"sizes": "ab"},
    "sizes 1.5 must be 1 or more, whole": {"sizes": [2, 1.5]},
    "sizes True must be 1 or more, whole": {"sizes": [True]},
    "sizes None must be 1 or more, whole": {"sizes": [None]},
    "sizes 'deep' must be 1 or more, whole": {"sizes": ["deep"]},
    "sizes [2, 2] must differ from one another": {"sizes": [2, 2]},
    "marks inf must be a whole number": {"marks": [float("inf")]},
    "share 2 must be between 0 and 1": {"share": 2},
    "share nan must be between 0 and 1": {"share": float("nan")},
    "inner 1 must be strictly between 0 and 1": {"inner": 1},
    "rate 0 must be above 0 and finite": {"rate": 0},
    "kind 'c' must be one of a, b": {"kind": "c"},
    "block 'z' must be one of x, y": {"block": "z"},
    "quick 'perhaps' must be true or false": {"quick": "perhaps"},
    "a quick recipe has one size": {"quick": True, "sizes": [1, 2]},
}


@pytest.mark.parametrize("sentence", REFUSALS)
def test_a_value_that_will_not_do_is_named_with_what_would_be_right(sentence):
    with pytest.raises(InputError) as refused:
        Recipe(**{"name": "r"} | REFUSALS[sentence])
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"^the recipe needs the key 'name'$"):
        Recipe()


def test_types_in_words():
    assert describe(Count) == "1 or more, whole"
    assert describe(Annotated[Number, Field(ge=0, le=1)] | None) == "between 0 and 1"
    assert describe(Literal["a", "b"]) == "one of a, b"
