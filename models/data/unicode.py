"""Whether a text is valid Unicode: JSON can carry a lone surrogate, which no tokenizer, database or file takes."""

from __future__ import annotations

from models.errors import InvalidOptionError


def unicode_problem(text: str) -> str | None:
    """Say what makes a text invalid Unicode and at which character; None if it is valid."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"{error.reason} at character {error.start}"
    return None


def is_unicode(text: str) -> bool:
    """Return whether a text is valid Unicode."""
    return unicode_problem(text) is None


def check_unicode(text: str, what: str, param: str) -> None:
    """Refuse a text that is not valid Unicode.

    Args:
        text: the text to check.
        what: names it in the message.
        param: the option it was given in.

    Raises:
        InvalidOptionError: the text holds a lone surrogate.
    """
    if problem := unicode_problem(text):
        raise InvalidOptionError(param, f"{what} is not valid Unicode: {problem}")
