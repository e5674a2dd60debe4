"""The oracle over whole algorithms: remote runners and learners, evaluation, restores, policies that come and go."""

from __future__ import annotations

import copy
import time

import pytest
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rllib_recattn.rl_module.catalog import RecAttnCatalog
from tests.oracle.cases import CROWDS, Case
from tests.oracle.compare import Comparison, Policy
from tests.oracle.environments import read_lives
from tests.oracle.modules import MODULES
from tests.oracle.replay import Replayer
from tests.oracle.spy import read_losses

pytestmark = pytest.mark.slow

BASE = Case(
    algorithm="PPO",
    models=(("agalite", 1),),
    max_seq_len=(5,),
    lengths="mixed",
    actions="discrete",
    num_envs=2,
    n_fragments=3,
    fragment_length=13,
    complete_episodes=False,
    burn_in=0,
    pack_rows=True,
    sparse_states=True,
    vf_share_layers=False,
    use_prev_action=True,
    use_prev_reward=True,
    off_policy=False,
)


def configured(directory, changes, **case):
    """A config whose modules are shaken, with changes to RLlib's settings, and its case."""
    case = Case(**{**vars(BASE), **case, "changes": changes})
    config = case.build(directory)
    module_class = MODULES[case.algorithm]
    if case.crowd is None:
        config.rl_module(rl_module_spec=RLModuleSpec(module_class=module_class, catalog_class=RecAttnCatalog))
    else:
        specs = config._rl_module_spec.rl_module_specs
        for spec in specs.values():
            spec.module_class = module_class
        config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
    if case.algorithm == "PPO":
        n_runners = max(1, config.num_env_runners)
        config.training(train_batch_size_per_learner=n_runners * case.num_envs * case.fragment_length)
    else:
        config.training(train_batch_size_per_learner=2 * case.fragment_length)
    return config, case


def compare(algorithm, config, case, directory, once):
    """Compare everything that was written down; ends the algorithm."""
    try:
        weights = algorithm.learner_group.get_weights()
        spaces = {key: value for key, value in algorithm.env_runner_group.get_spaces().items() if "__" not in key}
    finally:
        algorithm.stop()
    modules = copy.deepcopy(config).get_multi_rl_module_spec(spaces=spaces, inference_only=False).build()
    policies = {}
    for policy, of_policy in weights.items():
        if policy not in spaces:
            continue
        module = modules[policy].unwrapped()
        module.set_state(of_policy)
        replayer = Replayer(module, case.actions)
        settings = module.recurrence
        policies[policy] = Policy(
            replayer, replayer, settings.max_seq_len, settings.burn_in, config.gamma, getattr(config, "lambda_", 1.0)
        )
    complete = case.algorithm == "PPO"  # others may leave fragments out
    report = Comparison(policies, read_lives(directory), read_losses(directory), once=once, complete=complete).run()
    assert not report.problems
    assert report.n_steps > 50
    return report


RUNNERS = {"env_runners": {"num_env_runners": 2}}
CASES = {
    "two runners": ({}, {**RUNNERS}),
    "two runners, whole episodes": ({"complete_episodes": True}, {**RUNNERS}),
    "two runners, dense states": ({"sparse_states": False}, {**RUNNERS}),
    "two learners": ({"lengths": "long", "burn_in": 2}, {"learners": {"num_learners": 2, "num_cpus_per_learner": 1}}),
    "a crowd, two runners": (
        {"crowd": "dying", "models": (("gtrxl", 0), ("gru", 0)), "max_seq_len": (3, 7)},
        {**RUNNERS},
    ),
    "IMPALA": ({"algorithm": "IMPALA"}, {"env_runners": {"num_env_runners": 1}}),
    "APPO": ({"algorithm": "APPO", "max_seq_len": (4,)}, {"env_runners": {"num_env_runners": 2}}),
    "evaluation beside training": (
        {},
        {
            "env_runners": {"num_env_runners": 1},
            "evaluation": {
                "evaluation_num_env_runners": 1,
                "evaluation_interval": 1,
                "evaluation_parallel_to_training": True,
                "evaluation_duration": 3,
            },
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_whole_algorithms(ray_session, tmp_path, name):
    case, changes = CASES[name]
    config, case = configured(tmp_path, changes, **case)
    algorithm = config.build_algo()
    deadline = time.monotonic() + 120  # IMPALA's and APPO's iterations may be over before anything is sampled
    while len(read_losses(tmp_path)) < 6 and time.monotonic() < deadline:
        try:
            algorithm.train()
        except ValueError as error:
            # Where evaluation runs beside training, two threads write RLlib's metrics, and nothing locks them.
            if name != "evaluation beside training" or "Could not pack sequence" not in str(error):
                raise
    compare(algorithm, config, case, tmp_path, once=case.algorithm != "APPO")  # which learns from a batch repeatedly


def test_a_restore_in_the_middle(ray_session, tmp_path):
    config, case = configured(tmp_path, {})
    algorithm = config.build_algo()
    for _ in range(3):
        algorithm.train()
    checkpoint = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.stop()
    again = config.copy(copy_frozen=False).build_algo()
    again.restore_from_path(checkpoint)
    for _ in range(3):
        again.train()
    compare(again, config, case, tmp_path, once=True)


def test_policies_that_come_and_go_and_a_mapping_that_changes(ray_session, tmp_path):
    config, _ = configured(
        tmp_path, {}, crowd="joining", models=(("gru", 0), ("agalite", 1)), max_seq_len=(3, 7), lengths="long"
    )
    algorithm = config.build_algo()
    for _ in range(2):
        algorithm.train()
    new = copy.deepcopy(config._rl_module_spec.rl_module_specs["p0"])
    new.observation_space, new.action_space = algorithm.env_runner_group.get_spaces()["p0"]
    agents = list(CROWDS["joining"])
    algorithm.add_module(
        "p2",
        new,
        new_agent_to_module_mapping_fn=lambda agent, episode, **kwargs: f"p{agents.index(agent) % 3}",
    )
    for _ in range(3):
        algorithm.train()
    algorithm.remove_module(
        "p2", new_agent_to_module_mapping_fn=lambda agent, episode, **kwargs: f"p{agents.index(agent) % 2}"
    )
    losses = {loss["module"] for loss in read_losses(tmp_path)}
    assert losses == {"p0", "p1", "p2"}
    for _ in range(2):
        algorithm.train()
    algorithm.stop()
