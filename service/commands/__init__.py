"""Subcommands of ``mrl``, one file each, with the options and the output that they share."""
