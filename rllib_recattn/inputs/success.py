"""Where environments say whether an episode was a success, and what the metric of it is called."""

SUCCESS = "success"  # in the info of an episode's last step
SUCCESS_RATE = "success_rate"  # below env_runners/
