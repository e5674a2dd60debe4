"""Kernels, optional: what PyTorch's operations compute elsewhere in `models`, in less time.

In C++ for CPUs, built on the machine; and, on CUDA, those of another package (:mod:`rllib_recattn.models.kernels.fla`).
"""
