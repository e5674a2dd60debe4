"""An oracle of recurrent training: every batch that a loss sees, compared with a replay of each whole episode.

Weights are shaken and do not change. Environments write down every step; a learner writes down every batch of which it
computes a loss. Afterwards each episode is read once more, step by step from its initial state, by the models alone,
without RLlib's connectors, rows and minibatches and without this package's. Logits, values, actions, log-probabilities,
advantages and value targets of every step have to agree, and every sampled step has to be learned from exactly once.

    python -m tests.oracle --count 500 --seed 0

draws that many configs at random and names the seed of each that does not agree.
"""
