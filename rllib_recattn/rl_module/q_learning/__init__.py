"""Recurrent Q-learning on RLlib's DQN: R2D2 (Kapturowski et al., 2019), with sparse states.

Sequences of a replay buffer are the learner's rows. Each begins with a state that was kept while acting, and ends with
a step that has no loss, from whose value the others bootstrap.
"""
