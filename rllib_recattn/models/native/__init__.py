"""Kernels in C++ for CPUs, optional: what PyTorch's operations compute elsewhere in `models`, in less time."""
