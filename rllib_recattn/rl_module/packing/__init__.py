"""Train batches in fewer, fuller rows, with the same losses.

RLlib begins a row with each chunk of an episode and pads it to ``max_seq_len``: with episodes of 20 steps in rows of
64 the learner computes three times what it has to. Here a row goes on with chunks that start an episode, and the column
``is_first`` tells the model to forget where they begin. A chunk that continues an episode has a state of its own, so it
begins a row.
"""
