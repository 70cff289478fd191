"""The device a model runs on."""

from __future__ import annotations

import torch

from models.errors import ModelError


def choose_device(device: str) -> str:
    """Return ``device``; for ``auto``, the GPU if torch finds one and the CPU otherwise.

    Raises:
        ModelError: ``device`` is a GPU and torch finds none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {device!r}: torch sees no GPU on this machine; use --device cpu or auto")
    return device
