"""The subcommands of ``mrl``, one file each."""
