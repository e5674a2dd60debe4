"""Why an EnvRunner cannot sample all environments in one batch."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import tree
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.env_to_module import (
    AddObservationsFromEpisodesToBatch,
    AddStatesFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    BatchIndividualItems,
    EnvToModulePipeline,
    NumpyToTensor,
)
from ray.rllib.connectors.module_to_env import (
    GetActions,
    ListifyDataForVectorEnv,
    ModuleToEnvPipeline,
    NormalizeAndClipActions,
    RemoveSingleTsTimeRankFromBatch,
    TensorToNumpy,
    UnBatchToIndividualItems,
)
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils import force_list
from ray.rllib.utils.spaces.space_utils import get_base_struct_from_space

from rllib_recattn.private_names import MissingNameError
from rllib_recattn.rl_module.acting_mode import ActingModeMixin
from rllib_recattn.rl_module.fixes.scalar_actions import ScalarActions
from rllib_recattn.rl_module.inputs.mask_check import ActionMaskCheck
from rllib_recattn.rl_module.inputs.pieces import PreviousInputsToModule, previous_inputs_of
from rllib_recattn.rl_module.recurrence import settings_in
from rllib_recattn.rl_module.rllib_internals.env_runners import env_to_module, module_to_env
from rllib_recattn.rl_module.rllib_internals.sampling import (
    Sampling,
    callbacks_of,
    forward_without_modes,
    samples_as_rllib_does,
)
from rllib_recattn.rl_module.sparse_states.pieces import AddKeptStatesToBatch, KeepStatesApart

_SPACES = gym.spaces.Box | gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary

_ENV_TO_MODULE = (
    AddObservationsFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    AddStatesFromEpisodesToBatch,
    BatchIndividualItems,
    NumpyToTensor,
)
_BEFORE_OURS = (GetActions, TensorToNumpy, UnBatchToIndividualItems, RemoveSingleTsTimeRankFromBatch)
_AFTER_OURS = (NormalizeAndClipActions, ListifyDataForVectorEnv)


def why_not(env_runner: Any) -> str | None:
    """Return why an EnvRunner has to sample in RLlib's way, whatever it is asked for; None if it has not.

    Asked before each sample, since all of it can be changed in between.
    """
    if not isinstance(env_runner, SingleAgentEnvRunner):
        return "there are several agents"
    try:
        Sampling(env_runner)
        return _why_not(env_runner, env_runner.module)
    except MissingNameError as error:
        return str(error)


def _why_not(env_runner: Any, module: Any) -> str | None:
    if not samples_as_rllib_does(env_runner):
        return f"{type(env_runner).__name__} samples in a way of its own"
    if not isinstance(module, ActingModeMixin):
        return "the module is none of this package's"
    if not settings_in(module.model_config).lean_sampling:
        return "lean_sampling = False"
    # Of the object as well: who inspects an agent listens in there.
    if any(
        getattr(type(module), name) is not getattr(TorchRLModule, name) or name in vars(module)
        for name in _PUBLIC_FORWARD
    ):
        return f"{type(module).__name__} has a forward_exploration or forward_inference of its own"
    for explore in (True, False):
        forward_without_modes(module, explore)
    if any(parameter.device.type != "cpu" for parameter in env_runner.module.parameters()):
        return "the module is not on the CPU"
    if env_runner.env is None:
        return "there is no environment"
    if not env_runner.episodes_to_numpy:
        return "episodes are to stay lists"
    if not all(map(knows, (env_runner.env.single_observation_space, env_runner.env.single_action_space))):
        return "it does not know a space of the environment"
    return _why_not_with_pipelines(env_runner, module) or _why_not_with_callbacks(env_runner)


def _why_not_with_pipelines(env_runner: Any, module: TorchRLModule) -> str | None:
    before, after = env_to_module(env_runner), module_to_env(env_runner)
    if type(before) is not EnvToModulePipeline or type(after) is not ModuleToEnvPipeline:
        return "a connector pipeline is none of RLlib's"
    previous = [PreviousInputsToModule] if previous_inputs_of(module) is not None else []
    given = [each for each in _classes(before) if each is not ActionMaskCheck]  # LeanSampler checks by itself
    given_back = [each for each in _classes(after) if each is not ScalarActions]
    if previous_inputs_of(module) is None and given[:1] == [PreviousInputsToModule]:
        del given[0]  # which then does nothing
    if given == [*previous, *_ENV_TO_MODULE] and module.is_stateful():
        return "states are in the columns of episodes (sparse_states = False)"
    if given != [*previous, AddKeptStatesToBatch, *_ENV_TO_MODULE]:
        return f"there are other env-to-module connectors than RLlib's and ours: {_names(before)}"
    if given_back != [*_BEFORE_OURS, KeepStatesApart, *_AFTER_OURS]:
        return f"there are other module-to-env connectors than RLlib's and ours: {_names(after)}"
    return None


def _why_not_with_callbacks(env_runner: Any) -> str | None:
    for callback in callbacks_of(env_runner):
        if _has(callback, "on_episode_step"):
            return f"{type(callback).__name__} has an on_episode_step"
    if force_list(env_runner.config.callbacks_on_episode_step):
        return "config.callbacks(on_episode_step=…) is set"
    return None


def why_not_now(
    env_runner: Any, *, num_timesteps: int | None = None, num_episodes: int | None = None, force_reset: bool = False
) -> str | None:
    """Return why a call has to go RLlib's way though others need not; None if it has not."""
    if not num_timesteps and not num_episodes:
        return "nothing is to be sampled"
    inside = Sampling(env_runner)
    begins_again = force_reset or num_episodes is not None or inside.needs_reset
    if not begins_again and any(map(len, inside.episodes)):
        return "episodes go on of which a call for whole episodes has left some"
    return None


def calls_users(env_runner: Any, name: str) -> bool:
    """Whether a callback of the user's is called by this name, such as ``on_episode_end``."""
    return bool(force_list(getattr(env_runner.config, f"callbacks_{name}"))) or any(
        _has(callback, name) and not type(callback).__module__.startswith("rllib_recattn.")
        for callback in callbacks_of(env_runner)
    )


def _has(callback: Any, name: str) -> bool:
    """Whether a callback does something when it is called by a name: by its class, or by itself alone."""
    method = getattr(callback, name)
    return getattr(method, "__func__", method) is not getattr(RLlibCallback, name)


def knows(space: gym.Space[Any]) -> bool:
    """Whether a space is of numbers, nested in any way, which environments hand out in arrays."""
    return all(isinstance(part, _SPACES) for part in tree.flatten(get_base_struct_from_space(space)))


def _classes(pipeline: Any) -> list[type]:
    return [type(piece) for piece in pipeline.connectors]


def _names(pipeline: Any) -> str:
    return ", ".join(each.__name__ for each in _classes(pipeline))


_PUBLIC_FORWARD = ("forward_exploration", "forward_inference")
