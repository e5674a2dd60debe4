"""Running an experiment: one trial in Ray Tune, what it prints, and the directory that it leaves."""
