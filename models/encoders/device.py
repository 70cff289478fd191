"""Where a model runs."""

from __future__ import annotations

import torch

from models.errors import ModelError


def choose_device(device: str) -> str:
    """Return ``device``, or for ``auto`` the GPU where torch sees one and the CPU where not.

    Raises:
        ModelError: ``cuda`` was asked for and torch sees no GPU.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {device!r}: torch sees no GPU on this machine; use --device cpu or auto")
    return device
