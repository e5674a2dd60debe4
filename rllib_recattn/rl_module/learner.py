"""RLlib's learners for the models of this package."""

from __future__ import annotations

from ray.rllib.algorithms.appo.torch.appo_torch_learner import APPOTorchLearner
from ray.rllib.algorithms.impala.torch.impala_torch_learner import IMPALATorchLearner
from ray.rllib.algorithms.marwil.torch.marwil_torch_learner import MARWILTorchLearner
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner

from rllib_recattn.rl_module.faults.finite_gradients import FiniteGradientsMixin
from rllib_recattn.rl_module.fixes.empty_minibatch import EmptyMinibatchMixin
from rllib_recattn.rl_module.fixes.minibatch_size import check_minibatch_size
from rllib_recattn.rl_module.fixes.value_pass import without_graph
from rllib_recattn.rl_module.fixes.vtrace_bootstrap import VTraceBootstrapMixin
from rllib_recattn.rl_module.learner_metrics import RecurrentMetricsMixin
from rllib_recattn.rl_module.packing.learner import PackedRowsMixin
from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.learners import learner_connector


class RecurrentLearnerMixin(PackedRowsMixin, RecurrentMetricsMixin, FiniteGradientsMixin):
    """What the learners of all algorithms need for recurrent modules."""

    def recurrent_modules(self) -> dict[str, RecurrentModule]:
        """Return the modules of this package by policy; a learner may have others besides."""
        modules = self.module.foreach_module(lambda _, module: module.unwrapped(), return_dict=True)
        return {module_id: module for module_id, module in modules.items() if isinstance(module, RecurrentModule)}

    def configure_optimizers(self) -> None:
        """Check the settings that only the finished config holds, before anything starts; make the optimizers."""
        for module_id, module in self.recurrent_modules().items():
            if module.recurrence.rllib_fixes.minibatch_check:
                config = self.config
                where = f"{type(config).__name__}, policy {module_id!r}"
                check_minibatch_size(config.minibatch_size, module.recurrence.max_seq_len, where)
        super().configure_optimizers()


class RecurrentPPOMixin(RecurrentLearnerMixin, EmptyMinibatchMixin):
    """Makes a PPO learner one for recurrent modules; stands before it among the base classes."""

    def build(self) -> None:
        """Build the learner."""
        super().build()
        modules = self.recurrent_modules().values()
        pipeline = learner_connector(self)
        if pipeline is not None and all(module.recurrence.rllib_fixes.values_without_grad for module in modules):
            without_graph(pipeline.connectors)


class RecurrentVTraceMixin(RecurrentLearnerMixin, VTraceBootstrapMixin, EmptyMinibatchMixin):
    """Makes a learner of IMPALA or APPO one for recurrent modules; stands before it among the base classes."""


class RecAttnPPOLearner(RecurrentPPOMixin, PPOTorchLearner):
    """PPO's learner for the models of the catalog."""


class RecAttnIMPALALearner(RecurrentVTraceMixin, IMPALATorchLearner):
    """IMPALA's learner for the models of the catalog."""


class RecAttnAPPOLearner(RecurrentVTraceMixin, APPOTorchLearner):
    """APPO's learner for the models of the catalog."""


class RecAttnMARWILLearner(RecurrentLearnerMixin, EmptyMinibatchMixin, MARWILTorchLearner):
    """MARWIL's and BC's learner for the models of the catalog."""

    rows_are_whole_episodes = True  # WholeEpisodesPreLearner makes them
