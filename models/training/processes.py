"""The processes of a data-parallel run."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor

from models.errors import OptionalDependencyError


def is_first_process() -> bool:
    """Whether this process reports for the run: it is the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


class Processes:
    """The processes started by ``accelerate launch`` or ``torchrun``; a single one otherwise.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
        device: device of this process.

    Raises:
        OptionalDependencyError: there are several processes, and accelerate is not installed.
    """

    def __init__(self, device: str) -> None:
        self.rank, self.count = 0, int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device(device)
        if self.count > 1:
            try:
                from accelerate import PartialState
            except ImportError:
                raise OptionalDependencyError(
                    "accelerate", f"training in {self.count} processes", "pip install 'adaptive-retrieval[distributed]'"
                ) from None
            self._state = PartialState(cpu=self.device.type == "cpu")
            self.rank, self.device = self._state.process_index, self._state.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.count > 1:
            from accelerate.utils import reduce

            tensor = reduce(tensor, "sum")
        return tensor

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum the gradients over all processes, in place."""
        if self.count > 1:
            for parameter in parameters:
                if parameter.requires_grad:
                    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    parameter.grad = self.sum(gradient)

    def agree(self, flag: bool) -> bool:
        """Return the first process's flag in all processes, because clocks differ."""
        return bool(self.sum(torch.tensor(int(flag and self.first), device=self.device)))

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            self._state.wait_for_everyone()
