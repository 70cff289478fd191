"""Gradients of a contrastive loss over a batch larger than memory or than one process."""

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
    """Gradient caching (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup").

    A contrastive loss couples all rows of a batch, but only through their vectors. So the batch is encoded in chunks
    without a graph; the loss and its gradient by each vector are computed on all of them; then each chunk is encoded
    again, with a graph, and the gradient of its vectors goes on into the weights (section 3.2). The result is the
    gradient of the plain big batch. Among several processes each encodes a share of the chunks; vectors are exchanged
    before the loss, weight gradients are left for the caller to add up.

    Args:
        encode: gives the vectors of some rows of a side, shape (rows, D), from (number of the side, rows).
        lengths: rows of each side; a side is one of the loss's arguments.
        dimension: D.
        loss: a scalar from one tensor (rows, D) a side.
        chunk: rows encoded at once.
        processes: the processes of the run.

    Returns:
        The loss, without a graph.
    """
    # Dealt out by turns, so that the shares of two processes differ by one chunk at most.
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
    """Draw the same dropout masks as when the state was taken: both passes of a chunk must be of one function."""
    with torch.random.fork_rng():
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1])
        yield
