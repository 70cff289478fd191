"""``mrl serve``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from indexer import Generations
from models import InvalidOptionError
from service.settings import Settings

_NO_FLAG = frozenset({"api_key"})
"""A key among the flags could be read from the list of processes."""


def serve(**flags: Any) -> None:
    """Serve an index over HTTP. A flag takes precedence over its environment variable."""
    from service.http.server import serve as run  # FastAPI takes a while to import, and --help need not wait for it

    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        if problem["type"] == "missing":
            raise InvalidOptionError(name, "no index given: name its directory, or set MRL_INDEX") from None
        message = f"{name} {problem['input']!r}: {problem['msg']} (flag --{name.replace('_', '-')}, MRL_{name.upper()})"
        raise InvalidOptionError(name, message) from None
    if not settings.wait:
        Generations(settings.index).require_published()
    run(settings)


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return the command-line parameter of a setting; None stands for "not given"."""
    help_text = f"{field.description} [env: MRL_{name.upper()}]"
    if name == "index":
        annotation: Any = Annotated[Path | None, typer.Argument(help=help_text, show_default=False)]
    else:
        if not field.is_required() and field.default not in (None, ()):
            help_text += f" [default: {field.default}]"
        annotation = Annotated[_flag_type(field.annotation), typer.Option(help=help_text)]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _flag_type(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin is Literal:  # Settings checks the value and names what is allowed
        return str | None
    if origin is tuple:
        return list[str] | None
    return annotation if type(None) in get_args(annotation) else annotation | None


_PARAMETERS = [_parameter(name, field) for name, field in Settings.model_fields.items() if name not in _NO_FLAG]
serve.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]
serve.__annotations__ = {parameter.name: parameter.annotation for parameter in _PARAMETERS}
