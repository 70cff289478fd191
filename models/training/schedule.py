"""The learning rate over a run."""

from __future__ import annotations

_WARMUP_SHARE = 0.1


def warmup_then_decay(step: int, total: int) -> float:
    """Return the share of the peak rate at a step: linear up over the first tenth of ``total`` steps, then to zero."""
    warmup = max(1, round(_WARMUP_SHARE * total))
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)
