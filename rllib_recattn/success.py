"""Where environments say whether an episode was a success, and what the metric of it is called.

Environments write it and everything that counts successes reads it, so that it belongs to none of them.
"""

SUCCESS = "success"
"""The key in the info of an episode's last step."""

SUCCESS_RATE = "success_rate"
"""The metric, below ``env_runners/``: the share of episodes that were a success."""
