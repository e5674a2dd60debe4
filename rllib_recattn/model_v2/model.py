"""One ModelV2 over the whole catalog.

Shape suffixes: B rows of a batch, T steps, N = B · T, D features, S numbers of state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import torch
import tree
from ray.rllib.models.torch.torch_modelv2 import TorchModelV2
from ray.rllib.policy.sample_batch import SampleBatch
from ray.rllib.policy.view_requirement import ViewRequirement
from torch import Tensor, nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import encoder_settings
from rllib_recattn.inputs.masks import ActionMask, read_space
from rllib_recattn.inputs.spaces import check_action_space
from rllib_recattn.inputs.tokenizer import Tokenizer
from rllib_recattn.model_v2.observations import Restore, model_space
from rllib_recattn.model_v2.previous import PreviousViews
from rllib_recattn.model_v2.settings import PREFIX, ModelV2Settings, split_custom_model_config
from rllib_recattn.model_v2.state_views import BEGUN, MemoryView, ModelViews, PackedState, StateViews
from rllib_recattn.model_v2.vtrace_padding import mend_padding
from rllib_recattn.models.base import ModelSettings, SequenceModel
from rllib_recattn.models.gtrxl import GTrXL


class Encoder(nn.Module):
    """A tokenizer and a sequence model, under the names that they have in the new API stack's encoder.

    Args:
        space: The observation space.
        settings: Settings of the model.
        inputs: What the model sees.
        previous_size: Numbers a step of the previous action and reward.
    """

    def __init__(self, space: gym.Space, settings: ModelSettings, inputs: ModelV2Settings, previous_size: int):
        super().__init__()
        self.tokenizer = Tokenizer(read_space(space, inputs), encoder_settings(inputs.encoder))
        self.model = settings.build(self.tokenizer.output_dim + previous_size)

    def forward(self, obs: Any, previous: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """Map observations [B, T, …], previous inputs [B, T, …] and a state [B, S] to [B, T, D] and the state after."""
        x = self.tokenizer(obs)
        if previous is not None:
            x = torch.cat([x, previous], dim=-1)
        return self.model(x, state)


class RecAttnModelV2(TorchModelV2, nn.Module):
    """Any model of the catalog, for RLlib's old API stack.

    RLlib makes it from ``model={"custom_model": "recattn_agalite", "custom_model_config": {…}, "max_seq_len": 64}``
    after :func:`rllib_recattn.register_model_v2`, or, with nothing registered, from ``{"custom_model":
    "rllib_recattn.model_v2.RecAttnModelV2", "custom_model_config": {"model": "agalite", …}}``. Of a class path RLlib
    hands on ``custom_model_config`` alone, so that other settings of the ``model`` dict than max_seq_len, such as
    ``free_log_std``, only work with a registered name.

    Args:
        obs_space: The space of the preprocessed observations.
        action_space: The action space.
        num_outputs: Parameters of the action distribution.
        model_config: RLlib's ``model`` dict, or ``custom_model_config`` if RLlib was given a class path.
        name: RLlib's name of the model.
        **custom_model_config: The model's settings and those of
            :class:`~rllib_recattn.model_v2.settings.ModelV2Settings`.

    Raises:
        SettingsError: If a setting is unknown or wrong, or a space is one that no model can have.
    """

    model_name: ClassVar[str | None] = None
    view_requirements: dict[str, ViewRequirement]

    def __init__(
        self,
        obs_space: gym.Space,
        action_space: gym.Space,
        num_outputs: int,
        model_config: Mapping[str, Any],
        name: str,
        **custom_model_config: Any,
    ):
        TorchModelV2.__init__(self, obs_space, action_space, num_outputs, model_config, name)
        nn.Module.__init__(self)
        by_path = "custom_model" not in model_config
        custom = dict(model_config) if by_path else custom_model_config
        where = "custom_model_config" if by_path else f"model={{'custom_model': {model_config['custom_model']!r}}}"
        _check_model_config(model_config, where)
        settings, inputs = split_custom_model_config(custom, self.model_name, where)
        check_action_space(getattr(action_space, "original_space", action_space))
        self._space = model_space(obs_space)
        self._restore = None if model_config.get("_disable_preprocessor_api") else Restore(self._space, inputs)
        self._mask = ActionMask.of(self._space, getattr(action_space, "original_space", action_space), inputs)
        self._mends_padding = inputs.rllib_fixes.vtrace_padding
        self._values: Tensor | None = None

        previous = PreviousViews(action_space, inputs)
        self.previous = previous if previous.size else None
        self.encoder = Encoder(self._space, settings, inputs, previous.size)
        if not inputs.vf_share_layers:
            self.critic_encoder = Encoder(self._space, settings, inputs, previous.size)
        self._free_log_std = bool(model_config.get("free_log_std"))
        if self._free_log_std:
            num_outputs = _half(num_outputs)
            self.log_std = nn.Parameter(torch.zeros(num_outputs))
        self.pi = nn.Linear(settings.output_dim, num_outputs)
        self.vf = nn.Linear(settings.output_dim, 1)

        self._state_views = [_state_views(encoder.model, inputs) for encoder in self._encoders()]
        self.view_requirements = ModelViews(
            self.view_requirements | (previous.view_requirements() if previous.size else {}),
            [BEGUN, *self._state_views] if previous.size else self._state_views,
            mend_bootstrap=inputs.rllib_fixes.window_bootstrap,
        )

    def _encoders(self) -> list[Encoder]:
        return [self.encoder, self.critic_encoder] if hasattr(self, "critic_encoder") else [self.encoder]

    def get_initial_state(self) -> list[Tensor]:
        """Return RLlib's states before an episode, [size] each; whether it has begun may come first."""
        begun = BEGUN.initial() if self.previous is not None else []
        return begun + [state for states in self._state_views for state in states.initial()]

    def __call__(
        self, input_dict: Any, state: list[Any] | None = None, seq_lens: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Read a batch; rows of a train batch of IMPALA and APPO are made ready for V-trace on the way."""
        outputs = super().__call__(input_dict, state, seq_lens)
        if self._mends_padding and isinstance(input_dict, SampleBatch) and input_dict.is_training:
            assert self._values is not None
            self._values = mend_padding(input_dict, self._values)
        return outputs

    def forward(
        self, input_dict: Mapping[str, Any], state: list[Tensor], seq_lens: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Map a batch of B rows of T steps each to the parameters of the action distribution [N, num_outputs].

        Args:
            input_dict: Observations [N, …], and the previous actions and rewards if the model reads them.
            state: RLlib's states before the first steps, [B, …] each.
            seq_lens: Lengths of the rows [B]; what is behind them is padding, which nothing else depends on.

        Returns:
            The parameters, and RLlib's states after the T-th step.
        """
        state = [part.float() for part in state]
        n_rows = len(state[-1])
        if n_rows == 0:
            raise SettingsError(
                "a minibatch has no row: minibatch_size (sgd_minibatch_size) should be at least the model's max_seq_len"
            )
        obs = input_dict[SampleBatch.OBS]
        if self._restore is not None:
            obs = self._restore(obs)
        obs = _over_time(obs, n_rows)
        new_state: list[Tensor] = []
        previous = None
        if self.previous is not None:
            begun, *state = state
            previous = self._read_previous(input_dict, begun, tree.flatten(obs)[0].shape[1])
            new_state += BEGUN.write(begun)
        outputs = []
        for encoder, states in zip(self._encoders(), self._state_views, strict=True):
            own, state = state[: len(states.sizes)], state[len(states.sizes) :]
            y, packed = encoder(obs, previous, states.read(own))
            outputs.append(y.flatten(0, 1))
            new_state += states.write(packed, own)
        self._values = self.vf(outputs[-1]).squeeze(-1)
        logits = self.pi(outputs[0])
        if self._free_log_std:
            logits = torch.cat([logits, self.log_std.expand_as(logits)], dim=-1)
        if self._mask is not None:
            logits = self._mask.apply(logits, {self._mask.key: obs[self._mask.key].flatten(0, 1)})
        return logits, new_state

    def value_function(self) -> Tensor:
        """Return the values [N] of the batch that was read last."""
        assert self._values is not None, "value_function() comes after forward()"
        return self._values

    def _read_previous(self, input_dict: Mapping[str, Any], begun: Tensor, n_steps: int) -> Tensor:
        """Return the previous actions and rewards [B, T, …]."""
        assert self.previous is not None
        n_rows = len(begun)
        is_first = torch.zeros(n_rows, n_steps, dtype=torch.bool, device=begun.device)
        is_first[:, 0] = begun[:, 0] == 0
        return self.previous(input_dict, is_first.flatten()).unflatten(0, (n_rows, n_steps))


def _state_views(model: SequenceModel, settings: ModelV2Settings) -> StateViews:
    # Of a view that spans a single step RLlib takes the time dimension away. Beside a view of more, what it shows of
    # previous actions and rewards while acting is a step too old: agent_collector.py gives their buffers no place for
    # the step that is under way, which only index −1 of a buffer that holds one step makes up for.
    reads_previous = settings.use_prev_action or settings.use_prev_reward
    if isinstance(model, GTrXL) and model.memory_length > 1 and settings.memory_view and not reads_previous:
        return MemoryView(model)
    return PackedState(model)


def _over_time(obs: Any, n_rows: int) -> Any:
    """Give observations [N, …], nested or not, their dimensions [B, T, …]."""
    if isinstance(obs, Mapping):
        return {key: _over_time(part, n_rows) for key, part in obs.items()}
    if isinstance(obs, list | tuple):
        return tuple(_over_time(part, n_rows) for part in obs)
    return obs.unflatten(0, (n_rows, -1))


def _half(num_outputs: int) -> int:
    if num_outputs % 2:
        raise SettingsError(f"model: free_log_std = True: needs Box actions, whose {num_outputs} parameters are even")
    return num_outputs // 2


def _check_model_config(model_config: Mapping[str, Any], where: str) -> None:
    for key in ("use_lstm", "use_attention"):
        if model_config.get(key):
            raise SettingsError(f"{where}: {key} = True: should be left out, the {PREFIX}… model takes its place")
