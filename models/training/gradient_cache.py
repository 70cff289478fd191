"""Gradients of a contrastive loss over batches that exceed the memory or are spread over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from models.training.processes import Processes


def cached_backward(
    encode: Callable[[int, slice], Tensor],
    lengths: Sequence[int],
    dimension: int,
    loss: Callable[..., Tensor],
    chunk: int,
    processes: Processes,
) -> Tensor:
    """Backpropagate a contrastive loss with gradient caching (Gao et al. 2021, arXiv 2101.06983, section 3.2).

    A contrastive loss couples all rows of a batch, but only through their vectors. The batch is encoded in chunks
    without a graph; the loss and its gradient with respect to the vectors are computed on all of them; then each chunk
    is encoded again, with a graph, and the gradient of its vectors is backpropagated into the weights. The result is
    the gradient of the whole batch. Each of several processes encodes a share of the chunks. Vectors are exchanged
    before the loss; the caller sums the weight gradients.

    Args:
        encode: called with (number of a side, rows), returns their vectors, shape (rows, D).
        lengths: number of rows of each side; the sides are the arguments of the loss.
        dimension: D.
        loss: computes a scalar from one tensor of shape (rows, D) per side.
        chunk: rows encoded at once.
        processes: the processes of the run.

    Returns:
        The loss, without a graph.
    """
    # Dealt in turns, so that the shares of two processes differ by at most one chunk.
    chunks = [(side, slice(i, i + chunk)) for side, length in enumerate(lengths) for i in range(0, length, chunk)]
    own = chunks[processes.rank :: processes.count]
    device = processes.device
    vectors = [torch.zeros(length, dimension, device=device) for length in lengths]
    states = []
    with torch.no_grad():
        for side, rows in own:
            states.append(_random_state())
            vectors[side][rows] = encode(side, rows).float()
    leaves = [processes.sum(side).requires_grad_() for side in vectors]
    total = loss(*leaves)
    total.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
    for (side, rows), state in zip(own, states, strict=True):
        gradient = leaves[side].grad
        assert gradient is not None
        with _same_randomness(state):
            encode(side, rows).float().backward(gradient[rows])  # type: ignore[no-untyped-call]
    return total.detach()


RandomState = tuple[Tensor, Tensor | None]


def _random_state() -> RandomState:
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


@contextmanager
def _same_randomness(state: RandomState) -> Iterator[None]:
    """Restore the random state: both passes of a chunk need the same dropout masks."""
    with torch.random.fork_rng():
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1])
        yield
