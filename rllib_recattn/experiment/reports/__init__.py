"""Results in words, tables and files: the summary of a run, the trials of a sweep and the best of them."""
