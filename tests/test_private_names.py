from __future__ import annotations

import json
import types
import warnings

import pytest

from rllib_recattn.private_names import (
    MissingNameError,
    Override,
    import_private,
    optional_private,
    private,
    set_private,
    wrap,
)
from rllib_recattn.tested_versions import UntestedVersionWarning

WHY = "to count bees"


class OurDecoder(json.JSONDecoder):
    __module__ = "rllib_recattn.bees"


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        (lambda: private(json, "_bees", WHY), "module json has no _bees"),
        (lambda: private(json.JSONDecoder, "_bees", WHY), "json.decoder's JSONDecoder has no _bees"),
        (lambda: private(OurDecoder(), "_bees", WHY), "json.decoder's JSONDecoder has no _bees"),
        (lambda: set_private(json.JSONDecoder(), "_bees", 1, WHY), "json.decoder's JSONDecoder has no _bees"),
        (lambda: wrap(json, "_bees", lambda function: function, WHY), "module json has no _bees"),
        (lambda: import_private("json._bees", "Bee", WHY), "module json._bees has no Bee"),
        (lambda: import_private("json", "Bee", WHY), "module json has no Bee"),
        (lambda: Override("json:JSONDecoder", "_bees", WHY).check(), "json.decoder's JSONDecoder has no _bees"),
    ],
)
def test_what_is_missing_is_named_with_its_use_and_the_versions(call, missing):
    with pytest.raises(MissingNameError) as caught:
        call()
    assert str(caught.value).startswith(f"{missing}, which rllib_recattn needs {WHY} (")


def test_the_sentence_has_the_versions_of_ray():
    with pytest.raises(MissingNameError, match=r"tested with ray 2\.\d+\.\d … 2\.\d+\.\d, and ray \S+ is installed"):
        import_private("ray.bees", "Bee", WHY)


def test_what_is_there_is_returned_set_and_wrapped():
    owner = types.SimpleNamespace(_bees=3, count=lambda: 3)
    assert private(owner, "_bees", WHY) == 3
    set_private(owner, "_bees", None, WHY)
    assert owner._bees is None
    wrap(owner, "count", lambda count: lambda: count() + 1, WHY)
    assert owner.count() == 4
    assert import_private("json", "JSONDecoder", WHY) is json.JSONDecoder


def test_what_can_be_done_without_is_warned_of():
    with pytest.warns(UntestedVersionWarning, match="module json has no _bees, which .* it goes on without"):
        assert optional_private(json, "_bees", WHY) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert optional_private(json, "loads", WHY) is json.loads
