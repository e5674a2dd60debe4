"""MLflow takes few characters in names, and training has many."""

from __future__ import annotations

import pytest

from rllib_recattn.experiment.training.loggers.mlflow_logger import mlflow_names, mlflow_params

ODD = [
    *("config.lr[0][1]", "config.env_config.größe", "config.env_config.a=b", "config.env_config.a+b", "x" * 300),
    *(
        "",
        "/",
        "a//b",
        "../up",
        "a/../b",
        "a/./b",
        "end/",
        "new\nline",
        "a:b",
        "[0]",
        "." * 2,
        f"{'x' * 240}/yyyyyyyyyyyy",
    ),
]


def test_what_mlflow_takes_stays_as_it_is():
    fine = ["model.name", "config.lr", "env_runners/success_rate", "with space", "a-b_c.d", "v1..2"]
    assert mlflow_names(fine) == {name: name for name in fine}


def test_places_in_lists_are_written_with_dots():
    assert mlflow_names(["config.lr[0][1]", "config.a[10].b"]) == {
        "config.lr[0][1]": "config.lr.0.1",
        "config.a[10].b": "config.a.10.b",
    }


def test_no_two_names_become_one():
    names = [*ODD, "a=b", "a+b", "a_b", "config.lr.0.1", "x" * 301, *(f"{'x' * 260}{end}" for end in "ab")]
    written = mlflow_names(names)
    assert len(set(written.values())) == len(names)
    assert written["a_b"] == "a_b", "who needs no other name keeps its own"
    assert written["config.lr.0.1"] == "config.lr.0.1"
    assert all(0 < len(name) <= 250 for name in written.values())


def test_mlflow_itself_takes_them():
    validation = pytest.importorskip("mlflow.utils.validation", reason="an extra of this package")
    for name in mlflow_names(ODD).values():
        validation._validate_param(name, "1")
        validation._validate_metric(name, 1.0, 0, 0)


def test_values_that_are_too_long_lose_their_end():
    params = mlflow_params({"a[0]": "v" * 10_000, "b": [1, 2], "c": None})
    assert (params["b"], params["c"]) == ("[1, 2]", "None")
    assert len(params["a.0"]) == 6000
    assert params["a.0"].endswith("v…")
