"""The kernels as functions of tensors: they make room for results, and hand pointers to the library.

All tensors of a call are on the CPU and of one dtype, float32 or float64, but for `is_first`, which is of booleans.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Operators:
    """The operators of a library.

    Args:
        library: A library that was built of the sources beside this file.
    """

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        self._functions: dict[tuple[str, torch.dtype], Any] = {}

    def gate(
        self, skip: Tensor, sublayer: Tensor, bias: Tensor, from_sublayer: Tensor, from_skip: Tensor, from_reset: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map x and y [N, D] to the output [N, D], r, u and c [N, 3 D], and r ⊙ x [N, D]; all are dense."""
        rows, d = skip.shape
        output, gates, reset_skip = torch.empty_like(skip), skip.new_empty((rows, 3 * d)), torch.empty_like(skip)
        given = skip, sublayer, bias, from_sublayer, from_skip, from_reset
        self._call("gate_forward", skip.dtype, (*given, output, gates, reset_skip), (rows, d))
        return output, gates, reset_skip

    def gate_backward(self, grad: Tensor, *kept: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of what `gate` was given, given that of the output, and `kept`: that, gates, r ⊙ x."""
        skip, sublayer, *weights, gates, _ = kept
        results = torch.empty_like(skip), torch.empty_like(sublayer), *map(torch.zeros_like, weights)
        arrays = grad, *kept, *results[:2], torch.empty_like(gates), *results[2:]
        self._call("gate_backward", skip.dtype, arrays, tuple(skip.shape))
        return results

    def behind_mixer(self, x: Tensor, mixed: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map x and what a mixer says [N, D] to the block's output [N, D], and what the way back needs; all dense.

        That is r, u and c of both gates [N, 3 D], and a buffer.
        """
        (rows, d), d_ff = x.shape, len(weights[7])
        _check("weights", len(weights), _WEIGHTS_BEHIND_A_MIXER)
        gates, hidden_gates = x.new_empty((rows, 3 * d)), x.new_empty((rows, 3 * d))
        results = torch.empty_like(x), gates, hidden_gates, x.new_empty(rows * (2 + 6 * d + d_ff))
        self._call("behind_mixer", x.dtype, (x, mixed, *weights, *results), (rows, d, d_ff))
        return results

    def behind_mixer_backward(
        self, grad: Tensor, x: Tensor, weights: Sequence[Tensor], *kept: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the gradients of what `behind_mixer` was given, given that of the output."""
        results = torch.empty_like(x), torch.empty_like(x), *map(torch.zeros_like, weights)
        arrays = grad, x, *weights, *kept, *results
        self._call("behind_mixer_backward", x.dtype, arrays, (*x.shape, len(weights[7])))
        return results

    def attention(
        self, projected: Tensor, channels: Tensor, is_first: Tensor | None, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map projections [B, T, P] to attended values [B, T, H d], both memories after, and the features [B, T, P]."""
        features, keys, values = _copy_of(projected), _copy_of(keys), _copy_of(values)
        sizes = (*projected.shape[:2], *_sizes_of(keys, values))
        _check("projections", projected.shape[2], _projected(sizes))
        _check("channels", channels.shape[2], sizes[5])
        attended = projected.new_empty((*projected.shape[:2], sizes[2] * sizes[3]))
        arrays = features, channels.contiguous(), _dense(is_first), keys, values, attended
        self._call("attention", projected.dtype, arrays, sizes)
        return attended, keys, values, features

    def attention_backward(
        self,
        grad_attended: Tensor,
        grad_keys: Tensor,
        grad_values: Tensor,
        features: Tensor,
        channels: Tensor,
        is_first: Tensor | None,
        keys: Tensor,
        values: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the projections and of both memories, given those of the results."""
        grad, grad_keys, grad_values = torch.empty_like(features), _copy_of(grad_keys), _copy_of(grad_values)
        given = features, channels.contiguous(), _dense(is_first), keys.contiguous(), values.contiguous()
        arrays = *given, grad_attended.contiguous(), grad_keys, grad_values, grad
        self._call("attention_backward", features.dtype, arrays, (*features.shape[:2], *_sizes_of(keys, values)))
        return grad, grad_keys, grad_values

    def block(
        self,
        x: Tensor,
        channels: Tensor,
        is_first: Tensor | None,
        keys: Tensor,
        values: Tensor,
        weights: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Read T steps with a block: its outputs [B, T, D], both memories after, and what the way back needs."""
        x, keys, values = x.contiguous(), _copy_of(keys), _copy_of(values)
        sizes = (*x.shape, len(weights[12]), *_sizes_of(keys, values))
        batch, steps, d, d_ff, heads, d_head, *_ = sizes
        _check("weights", len(weights), _WEIGHTS_OF_A_BLOCK)
        _check("projections", len(weights[0]), _projected((batch, steps, *sizes[4:])))
        _check("channels", channels.shape[2], sizes[7])
        z, gates, hidden_gates = (
            torch.empty_like(x),
            x.new_empty((batch, steps, 3 * d)),
            x.new_empty((batch, steps, 3 * d)),
        )
        features = x.new_empty((batch, steps, len(weights[0])))
        attended = x.new_empty((batch, steps, heads * d_head))
        buffer = x.new_empty(batch * steps * (4 + 7 * d + d_ff))
        kept = gates, hidden_gates, features, attended, buffer
        arrays = x, channels.contiguous(), _dense(is_first), keys, values, *map(Tensor.contiguous, weights), z, *kept
        self._call("block", x.dtype, arrays, sizes)
        return z, keys, values, *kept

    def block_backward(
        self,
        grad: Tensor | None,
        grad_keys: Tensor | None,
        grad_values: Tensor | None,
        x: Tensor,
        channels: Tensor,
        is_first: Tensor | None,
        keys: Tensor,
        values: Tensor,
        weights: Sequence[Tensor],
        *kept: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the gradients of x, of both memories and of the weights; a gradient that is None is of zeros."""
        x, weights = x.contiguous(), [weight.contiguous() for weight in weights]
        grad = torch.zeros_like(x) if grad is None else grad.contiguous()
        grad_keys, grad_values = _copy_or_zeros(grad_keys, keys), _copy_or_zeros(grad_values, values)
        of_x, of_weights = torch.empty_like(x), [torch.zeros_like(weight) for weight in weights]
        given = grad, grad_keys, grad_values, x, channels.contiguous(), _dense(is_first)
        arrays = *given, keys.contiguous(), values.contiguous(), *weights, *kept, of_x, *of_weights
        self._call("block_backward", x.dtype, arrays, (*x.shape, len(weights[12]), *_sizes_of(keys, values)))
        return of_x, grad_keys, grad_values, *of_weights

    def _call(self, name: str, dtype: torch.dtype, arrays: Sequence[Tensor | None], sizes: Sequence[int]) -> None:
        """Call an operator with dense tensors."""
        pointers = [None if array is None else _pointer(array, dtype) for array in arrays]
        self._function(name, dtype)(
            (ctypes.c_void_p * len(pointers))(*pointers), (ctypes.c_int64 * len(sizes))(*sizes), _threads()
        )

    def convolution(self, h: Tensor, recent: Tensor, is_first: Tensor | None, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Map h [B, T, D], recent ones [B, W - 1, D] and taps [W, D], dense, to outputs and the recent ones after."""
        results, sizes = (torch.empty_like(h), torch.empty_like(recent)), (*h.shape, len(weight))
        _check("recent steps", recent.numel(), sizes[0] * (sizes[3] - 1) * sizes[2])
        _check("taps", weight.numel(), sizes[3] * sizes[2])
        self._call("convolution", h.dtype, (h, recent, _dense(is_first), weight, *results), sizes)
        return results

    def convolution_backward(self, grad: Tensor, grad_recent: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of h, recent ones and taps, given those of the results of `convolution`."""
        h, recent, is_first, weight = given
        results = torch.empty_like(h), torch.empty_like(recent), torch.empty_like(weight)
        arrays = grad.contiguous(), grad_recent.contiguous(), h, recent, _dense(is_first), weight, *results
        self._call("convolution_backward", h.dtype, arrays, (*h.shape, len(weight)))
        return results

    def outer_products(
        self, query: Tensor, key: Tensor, value: Tensor, decay: Tensor, strength: Tensor | None, memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map q and k [B, T, H, K], v [B, T, H, V], α, β and memories [B, H, K, V], dense, to o and those after."""
        memory, output = _copy_of(memory), torch.empty_like(value)
        given = query, key, value, decay, strength, memory
        self._call("outer_products", value.dtype, (*given, output), _sizes_of_memories(*given))
        return output, memory

    def outer_products_backward(self, grad: Tensor, grad_memory: Tensor, *given: Any) -> tuple[Tensor | None, ...]:
        """Return the gradients of what `outer_products` was given, given those of its results."""
        results = [None if x is None else torch.empty_like(x) for x in given[:5]]
        grad_memory = _copy_of(grad_memory)
        arrays = *given, grad.contiguous(), grad_memory, *results
        self._call("outer_products_backward", grad.dtype, arrays, _sizes_of_memories(*given))
        return *results, grad_memory

    def step(self, name: str, dtype: torch.dtype) -> Any:
        """Return the function that takes acting steps of a kind of stacks; see stack.h for its arguments."""
        function = self._function(f"{name}_step", dtype)
        function.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_int64, *[ctypes.c_void_p] * 5, ctypes.c_int64]
        return function

    def _function(self, name: str, dtype: torch.dtype) -> Any:
        function = self._functions.get((name, dtype))
        if function is None:
            function = getattr(self._library, f"{name}_{'float' if dtype == torch.float32 else 'double'}")
            function.restype = None
            self._functions[name, dtype] = function
        return function


_WEIGHTS_OF_A_BLOCK = 20
_WEIGHTS_BEHIND_A_MIXER = 14


def _threads() -> ctypes.c_int64:
    return ctypes.c_int64(torch.get_num_threads())


def _sizes_of(keys: Tensor, values: Tensor) -> tuple[int, int, int, int]:
    """Return H, d, η and r + 1 of memories [B, H, r + 1, η d] and [B, H, r, d]."""
    _, heads, channels, width = keys.shape
    d_head = values.shape[3]
    return heads, d_head, width // d_head, channels


def _sizes_of_memories(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, strength: Tensor | None, memory: Tensor
) -> tuple[int, ...]:
    """Return B, T, H, K, V and the decays of a head."""
    sizes, decays = (*key.shape, value.shape[3]), decay.shape[3]
    batch, steps, heads, d_key, d_value = sizes
    _check("queries", query.numel(), key.numel())
    _check("values", value.numel(), batch * steps * heads * d_value)
    _check("memories", memory.numel(), batch * heads * d_key * d_value)
    _check("decays", decay.numel(), batch * steps * heads * (decays if decays == 1 else d_key))
    _check("strengths", batch * steps * heads if strength is None else strength.numel(), batch * steps * heads)
    return *sizes, decays


def _projected(sizes: Sequence[int]) -> int:
    """Return P, as in attention.h, of B, T, H, d, η and r + 1."""
    heads, d_head, eta = sizes[2:5]
    return heads * (5 * d_head + 3 * eta)


def _check(what: str, size: int, expected: int) -> None:
    """Refuse what a kernel would read or write behind the end of."""
    if size != expected:
        raise ValueError(f"{what}: size {size}: should be {expected}")


def _pointer(array: Tensor, dtype: torch.dtype) -> int:
    if array.dtype not in (dtype, torch.bool):
        raise TypeError(f"a tensor of {array.dtype} among others of {dtype}")
    return array.data_ptr()


def _copy_of(x: Tensor) -> Tensor:
    return x.detach().clone(memory_format=torch.contiguous_format)


def _copy_or_zeros(grad: Tensor | None, like: Tensor) -> Tensor:
    return _copy_of(grad) if grad is not None else torch.zeros(like.shape, dtype=like.dtype)


def _dense(is_first: Tensor | None) -> Tensor | None:
    return None if is_first is None else is_first.bool().contiguous()
