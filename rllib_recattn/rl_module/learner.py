"""RLlib's learners, with a check that recurrent modules need."""

from __future__ import annotations

from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner

from rllib_recattn.errors import SettingsError


def check_minibatch_size(minibatch_size: int | None, max_seq_len: int, where: str) -> None:
    """Refuse minibatches that cannot hold a single row of `max_seq_len` steps: RLlib would make empty ones.

    Raises:
        SettingsError: If they cannot.
    """
    if minibatch_size is not None and minibatch_size < max_seq_len:
        raise SettingsError(
            f"{where}: minibatch_size = {minibatch_size}: should be at least max_seq_len = {max_seq_len}, since RLlib "
            "makes minibatches of whole rows"
        )


class RecAttnPPOLearner(PPOTorchLearner):
    """PPO's learner for the models of the catalog."""

    def build(self) -> None:
        """Build the learner; before that, check the settings that only the finished config holds."""
        check_minibatch_size(self.config.minibatch_size, self.config.model_config["max_seq_len"], "PPOConfig")
        super().build()
