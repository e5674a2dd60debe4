"""Evaluating what a run has left: episodes, intervals and videos, without a Ray cluster."""
