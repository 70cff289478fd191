"""What every command prints for a mistake."""

import re


def check_mistake(outcome, status, message):
    """Check (status, standard output, standard error) of a command: one clear line, and nothing else."""
    code, out, err = outcome
    assert (code, out) == (status, "")
    assert re.search(message, re.sub(r"[\s│]+", " ", err))
    assert "Traceback" not in err
