"""Recurrent states apart from the columns of an episode: only those that the learner asks for are kept and travel.

RLlib stores the state after *every* step in the episode, ships it, and the learner reads one in ``max_seq_len`` of
them. Here the newest state of each agent lies in the episode's ``custom_data``, which ``cut()`` hands on to the next
chunk and which travels with the episode, and of the past only the states before the steps 0, m, 2m, … of a chunk
(m = ``max_seq_len``). The learner's batches are the same, to the bit.
"""
