"""``python -m service`` is ``mrl``."""

from service.cli import main

main()
