"""RLlib's bugs that hurt recurrent agents, a file for each, worked around by mixins of RLlib's own classes.

docs/rllib-notes.md has the list; :class:`~rllib_recattn.rl_module.recurrence.RLlibFixes` switches each of them off.
What concerns the connectors lies in ``rl_module/sparse_states`` and ``rl_module/inputs``.
"""
