"""The processes of a data-parallel run."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor

from models.errors import TrainingError


def is_first_process() -> bool:
    """Whether this process speaks for the run: the only one, or the first of those started together."""
    return os.environ.get("RANK", "0") == "0"


class Processes:
    """The processes that ``accelerate launch`` (or ``torchrun``) started; one where neither did.

    Attributes:
        rank: number of this process, from 0.
        count: how many there are.
        device: where this one computes.
    """

    def __init__(self, device: str) -> None:
        self.rank, self.count = 0, int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device(device)
        if self.count > 1:
            try:
                from accelerate import PartialState
            except ImportError:
                raise TrainingError(
                    f"{self.count} processes train together by the package accelerate: pip install accelerate"
                ) from None
            self._state = PartialState(cpu=self.device.type == "cpu")
            self.rank, self.device = self._state.process_index, self._state.device

    @property
    def first(self) -> bool:
        """Whether this one writes files and reports."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all processes; each gets the sum."""
        if self.count > 1:
            from accelerate.utils import reduce

            tensor = reduce(tensor, "sum")
        return tensor

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Add up the gradients of all processes in place."""
        if self.count > 1:
            for parameter in parameters:
                if parameter.requires_grad:
                    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    parameter.grad = self.sum(gradient)

    def agree(self, flag: bool) -> bool:
        """Take the first process's answer in all of them: clocks differ."""
        return bool(self.sum(torch.tensor(int(flag and self.first), device=self.device)))

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            self._state.wait_for_everyone()
