"""Running an experiment in Ray Tune, one trial or many: interruptible and resumable."""
