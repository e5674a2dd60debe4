"""Workers that are forked are as apart from one another as others."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
import ray
import torch


@ray.remote
class Drawing:
    def draws(self) -> tuple[object, ...]:
        return (
            ray.ObjectID.from_random().hex(),
            random.random(),
            float(np.random.random()),
            float(torch.rand(())),
        )


def test_they_draw_other_numbers(ray_session):
    workers = [Drawing.options(num_cpus=0).remote() for _ in range(3)]
    draws = ray.get([worker.draws.remote() for worker in workers])
    for worker in workers:
        ray.kill(worker)
    for kind in zip(*draws, strict=True):
        assert len(set(kind)) == 3


def call_for_20_seconds(worker):
    for _ in range(200):
        ray.get(worker.draws.remote())
        time.sleep(0.1)


def test_they_are_gone_when_they_are_killed(ray_session):
    worker = Drawing.options(num_cpus=0).remote()
    ray.get(worker.draws.remote())
    ray.kill(worker)
    with pytest.raises(ray.exceptions.ActorDiedError):
        call_for_20_seconds(worker)  # one that comes right after may still be answered
