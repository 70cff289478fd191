"""``mrl keys``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer

from models import InvalidOptionError
from service.commands.options import Json
from service.commands.output import note, print_json, print_table

app = typer.Typer(help="Create, list and revoke API keys of mrl serve.", no_args_is_help=True)

Keys = Annotated[Path, typer.Option("--keys", envvar="MRL_KEYS", help="Key file.", show_default=False)]
Name = Annotated[str, typer.Argument(help="Name of the key, shown in the list and in the access log.")]


@app.command()
def create(
    name: Name,
    keys: Keys,
    scope: Annotated[
        list[str],
        typer.Option(
            help="read (search, embed, classify, read documents) or write (change documents and generations); "
            "repeatable."
        ),
    ],
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until the key expires. Default: it never does.")
    ] = None,
) -> None:
    """Create a key and print it, this once. A running service accepts it within seconds."""
    from service.security.keys import SCOPES, KeyScope, create_key

    unknown = next((name for name in scope if name not in SCOPES), None)
    if unknown is not None:
        raise InvalidOptionError("scope", f"scope {unknown!r}: allowed are {', '.join(SCOPES)}")
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    typer.echo(create_key(keys, name, cast("list[KeyScope]", scope), expires))
    note(f"added {name} to {keys}, which holds only its hash: keep the key, it cannot be shown again")


@app.command("list")
def list_keys(keys: Keys, json_output: Json = False) -> None:
    """List the keys with their scopes and dates."""
    from service.security.keys import read_keys

    found = read_keys(keys)
    if json_output:
        print_json([key.model_dump(mode="json", include={"name", "scopes", "created", "expires"}) for key in found])
        return
    rows = [
        (
            key.name,
            " ".join(sorted(key.scopes)),
            f"{key.created:%Y-%m-%d}",
            f"{key.expires:%Y-%m-%d}{' (expired)' if key.expired else ''}" if key.expires else "never",
        )
        for key in found
    ]
    print_table(("name", "scopes", "created", "expires"), rows)


@app.command()
def revoke(name: Name, keys: Keys) -> None:
    """Remove a key from the file. A running service rejects it within seconds."""
    from service.security.keys import revoke_key

    revoke_key(keys, name)
    note(f"removed {name} from {keys}")
