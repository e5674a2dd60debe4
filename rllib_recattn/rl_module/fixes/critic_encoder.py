"""RLlib never sends the weights of a critic's own recurrent encoder to the EnvRunners, which run it."""

from __future__ import annotations

from rllib_recattn.rl_module.recurrent_module import RecurrentModule


class SyncCriticEncoderMixin(RecurrentModule):
    """For actor-critic modules: counts a recurrent critic encoder among what EnvRunners need.

    With ``vf_share_layers=False``, ``DefaultPPORLModule.get_non_inference_attributes``
    (algorithms/ppo/default_ppo_rl_module.py) lists the critic's encoder, and ``TorchRLModule.get_state``
    (core/rl_module/torch/torch_rl_module.py) leaves what is listed out of the weights for EnvRunners. That is right
    for feed-forward critics. A recurrent one runs during sampling too, to make the critic's states: without the
    learner's weights these come from a different network, the EnvRunner's random initialisation.
    """

    def get_non_inference_attributes(self) -> list[str]:
        """Return the parts whose weights the EnvRunners can do without."""
        attributes: list[str] = super().get_non_inference_attributes()
        if self.recurrence.rllib_fixes.sync_critic_encoder:
            return [name for name in attributes if name != "encoder.critic_encoder"]
        return attributes
