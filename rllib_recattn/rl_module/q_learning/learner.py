"""RLlib's learner for DQN with the models of this package."""

from __future__ import annotations

from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.connectors.learner import AddNextObservationsFromEpisodesToTrainBatch

from rllib_recattn.rl_module.learner import RecurrentLearnerMixin
from rllib_recattn.rl_module.q_learning.loss import SequenceLossMixin
from rllib_recattn.rl_module.q_learning.pieces import AddSequences
from rllib_recattn.rl_module.rllib_internals.learners import learner_connector


class RecurrentDQNMixin(RecurrentLearnerMixin, SequenceLossMixin):
    """Makes a DQN learner one for recurrent modules; stands before it among the base classes.

    Rows are sequences of :class:`~rllib_recattn.rl_module.q_learning.replay.SequenceEpisodeReplayBuffer`. The network
    that learns and the target network each read them from the state with which they begin, which older weights made;
    ``burn_in`` steps have no loss.
    """

    def build(self) -> None:
        """Build the learner, whose rows need no next observations."""
        super().build()
        pipeline = learner_connector(self)
        if pipeline is not None:
            pipeline.remove(AddNextObservationsFromEpisodesToTrainBatch.__name__)
            pipeline.prepend(AddSequences())


class RecAttnDQNLearner(RecurrentDQNMixin, DQNTorchLearner):
    """DQN's learner for the models of the catalog."""
