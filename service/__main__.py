"""``python -m service`` runs ``mrl``."""

from service.cli import main

main()
