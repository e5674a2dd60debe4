"""Search domains of Ray Tune among the arguments of `use_model`: checked at once, found by Tune, checked again."""

from __future__ import annotations

import pytest
from ray import tune
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.search.variant_generator import generate_variants

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError, SettingsWarning
from tests.rl_module.test_use_model import SPACES

SMALL = {"d_model": 8, "n_layers": 1, "n_heads": 1, "d_head": 4}


def use(model="agalite", config=None, **arguments):
    return ra.use_model(config or PPOConfig().environment("CartPole-v1"), model, **{**SMALL, **arguments})


def trials(config):
    """The modules that Tune's trials get, each from the dict that a trial is handed."""
    for _, resolved in generate_variants(config.to_dict()):
        rebuilt = PPOConfig().update_from_dict(resolved)
        rebuilt.validate()
        yield rebuilt.get_rl_module_spec(spaces=SPACES).build()


def test_each_trial_has_a_value_of_each_domain():
    config = use(
        d_model=tune.grid_search([8, 12]),
        d_head={"grid_search": [4, 6]},
        max_seq_len=tune.choice([9]),
        burn_in=tune.randint(2, 3),
        use_prev_action=tune.choice([True]),
        gate_bias=tune.uniform(0.5, 0.75),
    )
    modules = list(trials(config))
    found = {(module.encoder.encoder.model.output_dim, module.model_config["recattn"]["d_head"]) for module in modules}
    assert found == {(8, 4), (8, 6), (12, 4), (12, 6)}
    for module in modules:
        assert (module.recurrence.max_seq_len, module.recurrence.burn_in) == (9, 2)
        assert module.recurrence.use_prev_action
        assert 0.5 <= module.model_config["recattn"]["gate_bias"] < 0.75


@pytest.mark.parametrize(
    ("encoder", "sizes"),
    [
        ({"type": "mlp", "widths": tune.grid_search([[5], [6]])}, {5, 6}),
        ({"type": "mlp", "widths": [tune.grid_search([5, 7])]}, {5, 7}),
        (tune.grid_search(["mlp", "auto", {"type": "mlp", "widths": [7]}]), {128, 64, 7}),
    ],
)
def test_settings_of_the_encoder_are_searched_too(encoder, sizes):
    assert {module.encoder.encoder.tokenizer.output_dim for module in trials(use(encoder=encoder))} == sizes


def test_settings_within_a_hybrid_are_searched_too():
    models = [{"name": "gru", "d_model": tune.grid_search([8, 16])}, {"name": "lstm", "d_model": 8}]
    config = ra.use_model(PPOConfig(), "hybrid", models=models)
    assert {module.encoder.encoder.model.models[0].output_dim for module in trials(config)} == {8, 16}


def test_a_domain_in_the_users_model_config_stays_one():
    config = PPOConfig().rl_module(model_config={"max_seq_len": tune.grid_search([9, 11])})
    assert {module.recurrence.max_seq_len for module in trials(use(config=config))} == {9, 11}
    wrong = PPOConfig().rl_module(model_config={"max_seq_len": tune.grid_search([9, 0])})
    with pytest.raises(SettingsError, match="max_seq_len = 0: input should be greater than 0"):
        use(config=wrong)


def test_a_value_that_nobody_can_list_is_checked_when_the_trial_builds():
    good, bad = tune.sample_from(lambda _: 12), tune.sample_from(lambda _: -1)
    (module,) = trials(use(d_model=good))
    assert module.encoder.encoder.model.output_dim == 12
    for arguments, message in (
        ({"d_model": bad}, r"model_config\['recattn'\]: d_model = -1: input should be greater than 0"),
        ({"burn_in": bad}, "model_config: burn_in = -1: input should be greater than or equal to 0"),
        ({"encoder": {"type": "mlp", "widths": bad}}, "widths = -1"),
    ):
        with pytest.raises(SettingsError, match=message):
            [module.recurrence for module in trials(use(**arguments))]  # which a learner reads as it is built


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_model": tune.choice([8, "16"])}, r"d_model = '16': .*\(with d_model = '16'\)"),
        ({"d_model": {"grid_search": [8, 0]}}, "d_model = 0: input should be greater than 0"),
        ({"d_model": tune.uniform(8, 16)}, "d_model = 8.0: input should be a valid integer"),
        ({"n_heads": tune.randint(0, 3)}, "n_heads = 0"),
        ({"d_model": tune.choice([])}, "d_model: should have a list of values"),
        ({"d_modle": tune.choice([8])}, "unknown setting 'd_modle': did you mean 'd_model'"),
        ({"burn_in": tune.choice([3, 9]), "max_seq_len": tune.choice([5, 10])}, r"burn_in = 9: .*max_seq_len = 5"),
        ({"encoder": {"type": "mlp", "widths": tune.choice([[5], []])}}, r"widths = \[\]"),
        ({"encoder": tune.choice(["mlp", "mpl"])}, "unknown type 'mpl': did you mean 'mlp'"),
        ({"encoder": {"type": tune.choice(["mlp"])}}, "encoder.type: each type has settings of its own"),
        ({"sparse_states": tune.choice([True, False])}, "sparse_states decides what the config has besides"),
        ({"rllib_fixes": {"fresh_seeds": tune.choice([True, False])}}, "rllib_fixes decides"),
    ],
)
def test_a_wrong_candidate_is_refused_at_once_and_leaves_the_config_as_it_was(arguments, message):
    config = PPOConfig()
    before = config.to_dict()
    with pytest.raises(SettingsError, match=message):
        use(config=config, **arguments)
    assert config.to_dict() == before


def test_many_domains_are_tried_one_by_one():
    many = {name: tune.choice(range(1, 30)) for name in ("d_model", "n_layers", "n_heads")}
    many = {name: tune.choice(list(domain.categories)) for name, domain in many.items()}
    use(**many)
    with pytest.raises(SettingsError, match="n_layers = 0"):
        use(**{**many, "n_layers": tune.choice([*range(1, 30), 0])})


def test_where_tune_would_not_find_it_a_domain_is_refused():
    config = PPOConfig().multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *_, **__: agent)
    with pytest.raises(SettingsError, match="d_model: Ray Tune finds no search domain in the RLModule specs"):
        use(config=config, policies=["a"], d_model=tune.choice([8]))


@pytest.mark.parametrize("form", [dict, DefaultModelConfig])
@pytest.mark.parametrize("place", ["config", "spec"])
def test_rllibs_lstm_gives_way_with_a_note(form, place):
    model_config = form(use_lstm=True)
    spec = RLModuleSpec(model_config=model_config) if place == "spec" else None
    config = PPOConfig().rl_module(model_config=model_config, rl_module_spec=spec)
    with pytest.warns(SettingsWarning, match="use_lstm: the model takes the LSTM's place"):
        use(config=config)
    (module,) = trials(config)
    assert not module.model_config["use_lstm"]
    assert type(module.encoder.encoder.model).__name__ == "AGaLiTe"
