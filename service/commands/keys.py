"""``mrl keys``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer

from models.errors import InvalidOptionError
from service.commands.output import note, print_json, print_table

app = typer.Typer(help="Make, list and revoke the API keys of mrl serve.", no_args_is_help=True)

Keys = Annotated[Path, typer.Option("--keys", envvar="MRL_KEYS", help="The key file.", show_default=False)]
Name = Annotated[str, typer.Argument(help="What the key is called, in the list and in the access log.")]


@app.command()
def create(
    name: Name,
    keys: Keys,
    scope: Annotated[
        list[str],
        typer.Option(help="read: search, embed, classify, read documents; write: change documents and generations."),
    ],
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days after which it ends; never by default.")
    ] = None,
) -> None:
    """Make a key and print it, this once. A running service takes it within a second or two."""
    from service.security.keys import SCOPES, KeyScope, create_key

    unknown = next((one for one in scope if one not in SCOPES), None)
    if unknown is not None:
        raise InvalidOptionError("scope", f"scope {unknown!r}: allowed are {', '.join(SCOPES)}")
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    typer.echo(create_key(keys, name, cast("list[KeyScope]", scope), expires))
    note(f"{name} is in {keys}, which holds its hash alone: keep the key, it cannot be shown again")


@app.command("list")
def list_keys(
    keys: Keys, json_output: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False
) -> None:
    """List keys: name, scopes, when made, when they end."""
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
            f"{key.expires:%Y-%m-%d}{' (over)' if key.expired else ''}" if key.expires else "never",
        )
        for key in found
    ]
    print_table(("name", "scopes", "made", "ends"), rows)


@app.command()
def revoke(name: Name, keys: Keys) -> None:
    """Take a key out of the file. A running service refuses it within a second or two."""
    from service.security.keys import revoke_key

    revoke_key(keys, name)
    note(f"{name} is no longer in {keys}")
