"""Search at full and shortened dimension, against the usual libraries: ``python -m benchmarks.retrieval``.

``config`` says what is measured, ``data`` and ``encoders`` provide the data, ``peers`` the libraries, ``ours`` this
project. ``builds`` builds each structure once, ``timing`` measures a structure in its own process, ``run`` alternates
between them, and ``tables`` and ``plot`` show the results.
"""

from benchmarks.retrieval.cli import main

__all__ = ["main"]
