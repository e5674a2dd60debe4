"""Search domains: where they may stand, their arguments, and what is put into their places."""

from __future__ import annotations

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.domain import Domain, parse_domain
from rllib_recattn.experiment.definition.search import add_seeds, fill, find_domains, values_of
from rllib_recattn.scope import Scope


def found(content):
    scope = Scope("x.yaml: exp")
    space = find_domains(content, scope)
    scope.raise_problems()
    return space


def refused(content):
    with pytest.raises(SettingsError) as error:
        found(content)
    return str(error.value)


def test_domains_are_found_at_any_depth_in_the_order_of_the_file():
    space = found(
        {
            "model": {"name": {"choice": ["gru", "lstm"]}, "d_model": {"qrandint": [16, 64, 16]}},
            "config": {
                "lr": {"loguniform": [1e-5, 1e-3]},
                "entropy_coeff": [[0, {"uniform": [0, 0.1]}], [1000, 0.0]],
                "env_config": {"maze": {"length": {"grid_search": [3, 4]}}},
            },
        }
    )
    assert {key_path: domain.kind for key_path, domain in space.items()} == {
        "model.name": "choice",
        "model.d_model": "qrandint",
        "config.lr": "loguniform",
        "config.entropy_coeff[0][1]": "uniform",
        "config.env_config.maze.length": "grid_search",
    }


def test_a_whole_block_can_be_searched_for():
    assert list(found({"model": {"grid_search": [{"name": "gru"}, {"name": "lstm"}]}})) == ["model"]


def test_environments_can_be_searched_for():
    content = {"env": {"grid_search": ["CartPole-v1", "Acrobot-v1"]}, "run": "PPO"}
    assert found(content)["env"].labels == ["CartPole-v1", "Acrobot-v1"]
    assert fill(content, {"env": "Acrobot-v1"}) == {"env": "Acrobot-v1", "run": "PPO"}


def test_values_take_the_places_of_their_domains_and_nothing_else_changes():
    content = {"run": "PPO", "model": {"choice": [None, {"name": "gru"}]}, "config": {"a": [1, {"uniform": [0, 1]}]}}
    assert fill(content, {"model": {"name": "gru"}, "config.a[1]": 0.5}) == {
        "run": "PPO",
        "model": {"name": "gru"},
        "config": {"a": [1, 0.5]},
    }
    assert fill(content, {"model": None, "config.a[1]": 0.5}) == {"run": "PPO", "config": {"a": [1, 0.5]}}
    assert content["config"]["a"][1] == {"uniform": [0, 1]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"stop": {"a": {"uniform": [0, 1]}}}, "x.yaml: exp.stop.a: uniform: values can be searched for inside"),
        ({"run": {"grid_search": ["PPO", "APPO"]}}, "exp.run: grid_search: an experiment is of one algorithm: write a"),
        ({"env": {"grid_search": ["a", 3]}}, "exp.env.grid_search = ['a', 3]: should be choice or grid_search, and a"),
        ({"env": {"uniform": [0, 1]}}, "x.yaml: exp.env.uniform = [0, 1]: should be choice or grid_search"),
        (
            {"tune": {"scheduler": {"pbt": {"mutations": {"lr": {"uniform": [0, 1]}}}}}},
            "exp.tune.scheduler.pbt.mutations.lr: uniform: write it at config.lr",
        ),
        (
            {"scheduler": {"pbt": {"hyperparam_mutations": {"gamma": {"uniform": [0, 1]}}}}},
            "exp.scheduler.pbt.hyperparam_mutations.gamma: uniform: write it at config.gamma",
        ),
        ({"config": {"lr": {"sample_from": "lambda: 1"}}}, "x.yaml: exp.config.lr: sample_from runs code"),
        ({"config": {"lr": {"choice": [1, {"uniform": [0, 1]}]}}}, "config.lr.choice: an option cannot hold a search"),
        ({"config": {"env_config": {"a/b": {"choice": [1, 2]}}}}, "a key with '.', '/', '[' or ']' in it"),
    ],
)
def test_where_none_may_stand_is_said(content, message):
    assert message in refused(content)


def test_all_that_is_wrong_is_said_at_once():
    message = refused({"config": {"lr": {"uniform": [2, 1]}, "gamma": {"choice": []}}})
    assert "config.lr.uniform" in message
    assert "config.gamma.choice" in message


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        ("uniform", [1], "= [1]: upper is missing; should be [lower, upper]"),
        ("uniform", [1, 2, 3], "= [1, 2, 3]: should be [lower, upper]"),
        ("uniform", 3, "= 3: should be [lower, upper]"),
        ("uniform", [1, 1], "lower = 1: should be less than upper = 1"),
        ("uniform", ["a", 1], "lower = 'a': should be a number"),
        ("uniform", [True, 2], "lower = True: should be a number"),
        ("uniform", [0, float("inf")], "upper = inf: should be a number"),
        ("uniform", [0, 10**400], "upper = 10000000000000000000…0000000000 (401 digits): should be a number"),
        ("uniform", {"low": 0, "upper": 1}, "unknown argument 'low': did you mean 'lower'?"),
        ("loguniform", [0, 1], "lower = 0: should be greater than 0, for its logarithm"),
        ("quniform", [0, 1, 0], "q = 0: should be greater than 0"),
        ("quniform", [0, 1, 0.3], "upper = 1: should be a multiple of q = 0.3"),
        ("randint", [0.5, 3], "lower = 0.5: should be a whole number"),
        ("lograndint", [0, 3], "lower = 0: should be greater than 0"),
        ("randn", [0, 0], "sd = 0: should be greater than 0"),
        ("choice", "ab", "= 'ab': should be a list of the values to choose from"),
        ("choice", [], "= []: should be a list of the values to choose from"),
        ("grid_search", [1, 2, 1], "the option 1 is given twice"),
    ],
)
def test_a_wrong_argument_is_named(kind, argument, message):
    with pytest.raises(SettingsError) as error:
        parse_domain(kind, argument, "config.lr")
    assert str(error.value).startswith(f"config.lr.{kind}")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("kind", "argument", "probes"),
    [
        ("uniform", {"lower": 0, "upper": 1}, [0.0, 1.0]),
        ("randint", [1, 5], [1, 4]),
        ("qrandint", [8, 32, 8], [8, 32]),
        ("lograndint", [1, 5], [1, 4]),
        ("randn", [1, 0.5], [1.0, -0.5, 2.5]),
        ("qrandn", [1, 0.5, 0.25], [1.0, -0.5, 2.5]),
        ("choice", [3, None, "a"], [3, None, "a"]),
    ],
)
def test_probes_are_all_options_or_both_ends(kind, argument, probes):
    domain = parse_domain(kind, argument, "")
    assert domain.probes == probes
    assert [type(probe) for probe in domain.probes] == [type(probe) for probe in probes]


@pytest.mark.parametrize("kind", ["uniform", "quniform", "loguniform", "randint", "qrandint", "lograndint"])
def test_values_that_ray_draws_lie_within_the_bounds(kind):
    from rllib_recattn.experiment.training.searchers import tune_domain

    domain = parse_domain(kind, [8, 32, 8] if kind.startswith("q") else [1, 5], "")
    lower, upper = domain.bounds
    drawn = tune_domain(domain).sample(size=300, random_state=0)
    assert lower <= min(drawn) <= max(drawn) <= upper
    if domain.is_whole:
        assert {lower, upper} <= set(drawn)


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ([1, 0.5], [1, 0.5]),
        (["gru", "lstm"], ["gru", "lstm"]),
        ([True, False], [True, False]),
        ([None, 0.5, "a"], ["null", "0.5", "a"]),
        ([[64, 64], [32]], ["[64, 64]", "[32]"]),
        ([{"name": "gru", "d_model": 8}, {"name": "lstm", "n_layers": 2}], ["gru", "lstm"]),
        (
            [{"name": "gru", "d_model": 8, "x": 1}, {"name": "gru", "d_model": 16, "x": 1}, {"name": "lstm"}],
            ["gru d_model=8", "gru d_model=16", "lstm"],
        ),
        ([{"a": 1, "b": 1}, {"a": 1, "b": 2}], ["b=1", "b=2"]),
        ([None, "null"], ["null", "null #2"]),
    ],
)
def test_labels_are_short_and_lead_back_to_their_options(options, labels):
    domain = parse_domain("choice", options, "")
    assert domain.labels == labels
    assert [domain.value_of(label) for label in labels] == options


def test_long_labels_are_cut_and_stay_apart():
    blocks = [{"name": "m", "text": "x" * 100 + end} for end in "abc"]
    labels = parse_domain("choice", blocks, "").labels
    assert len(set(labels)) == 3
    assert max(map(len, labels)) < 70


def test_an_unknown_label_is_refused():
    space = {"model": parse_domain("choice", [{"name": "gru"}, {"name": "lstm"}], "")}
    with pytest.raises(SettingsError, match=r"model: there is no option 'rnn'; there are \['gru', 'lstm'\]"):
        values_of(space, {"model": "rnn"})


def test_missing_choices_are_the_first():
    space = {"a": parse_domain("choice", ["x", "y"], ""), "b": parse_domain("randint", [3, 9], "")}
    assert values_of(space, {"experiment": "elsewhere"}) == {"a": "x", "b": 3}
    assert values_of(space, {"a": "y", "b": 4.0}) == {"a": "y", "b": 4}


@pytest.mark.parametrize(
    ("argument", "value", "near"), [([0, 1], 1.2, 1.0), ([0, 1], -3, 0.0), ([0.0, 1.0], 0.25, 0.25)]
)
def test_near_stays_within_a_range(argument, value, near):
    assert parse_domain("uniform", argument, "").near(value) == near


def test_near_keeps_whole_numbers_and_multiples():
    assert parse_domain("qrandint", [8, 32, 8], "").near(21) == 24
    assert parse_domain("randint", [1, 5], "").near(7.7) == 4


def test_domains_survive_json():
    domain = parse_domain("choice", [{"name": "gru"}, None], "")
    assert Domain.model_validate_json(domain.model_dump_json()) == domain


def test_each_sample_gets_the_next_seed():
    content = {"config": {"seed": 7}}
    assert add_seeds({}, content, 3)["config.seed"].options == [7, 8, 9]
    assert add_seeds({}, content, 1) == {}
    assert add_seeds({}, {"config": {}}, 3) == {}
    own = {"config.seed": parse_domain("grid_search", [1, 2], "")}
    assert add_seeds(own, {"config": {"seed": 1}}, 3) == own
