"""What Ray Tune keeps to itself and this package relies on, with what for: the one place that a new version can break.

A test calls each function with Tune's own objects, and fails with the sentence that a user would read.
"""
