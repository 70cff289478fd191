"""Learning rates over a run, as factors of the peak rate; :mod:`models.training.loop` gives them to ``LambdaLR``."""

from __future__ import annotations

_WARMUP_SHARE = 0.1


def warmup_then_decay(step: int, total: int) -> float:
    """Linear warm-up to 1 over the first tenth of ``total`` steps, then linear decay to 0."""
    warmup = max(1, round(_WARMUP_SHARE * total))
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)


def decay_with_warmup(share: float, total: int) -> float:
    """Linear decay from 1 to 0 over the run, damped linearly during its first tenth.

    Args:
        share: part of the run that is done, by steps or by time.
        total: steps of the run.
    """
    return min(share / _WARMUP_SHARE + 1 / total, 1.0) * max(0.0, 1 - share)
