"""Search at full and shortened dimension against the libraries a user would pick: ``python -m benchmarks.retrieval``.

What is measured stands in ``config``, data in ``data`` and ``encoders``, the libraries in ``peers``, this project in
``ours``; ``builds`` makes each structure once, ``timing`` measures one of them in a process of its own, ``run`` takes
turns between them, ``report`` and ``plot`` show what came out.
"""

from benchmarks.retrieval.cli import main

__all__ = ["main"]
