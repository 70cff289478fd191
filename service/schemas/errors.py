"""The envelope of every error: ``{"error": {"type", "code", "message", "param"}}``."""

from __future__ import annotations

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """An error: its type and code are for programs, its message for people; `param` is the invalid option."""

    type: str
    code: str
    message: str
    param: str | None


class ErrorAnswer(BaseModel):
    """The envelope of every error."""

    error: ErrorDetail
