"""Tune's loggers, made to log every setting, over environment steps."""
