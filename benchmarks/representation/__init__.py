"""The paper's experiments on labelled texts: Matryoshka training against every baseline."""

from benchmarks.representation.cli import main

__all__ = ["main"]
