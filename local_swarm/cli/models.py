"""`lswarm models`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from local_swarm.cli import options

if TYPE_CHECKING:
    from local_swarm.models.store import Store


@click.group()
def models() -> None:
    """Show, download and remove models.

    A model is NAME[:SIZE[:QUANT]] of the catalogue, or hf:OWNER/REPO[:QUANT|:FILE].
    """


@models.command("list")
@click.option("--pulled", is_flag=True, help="Only what is downloaded.")
@options.as_json
@options.general
def list_(config_path: str | None, verbose: bool, pulled: bool, json_: bool) -> None:
    """Show the catalogue, the best for coding first, and what is downloaded."""
    from local_swarm.cli import render
    from local_swarm.models import overview

    document = overview.rows(_store(config_path), only_pulled=pulled)
    if json_:
        click.echo(json.dumps(document, indent=2))
    else:
        render.models(document)


@models.command()
@click.argument("name")
@click.option("--remote", is_flag=True, help="Read the header of the file on the hub as well.")
@options.as_json
@options.general
def show(config_path: str | None, verbose: bool, name: str, remote: bool, json_: bool) -> None:
    """Show everything known of one model."""
    from local_swarm.cli import render
    from local_swarm.models import overview

    document = overview.details(name, _store(config_path), remote=remote)
    if json_:
        click.echo(json.dumps(document, indent=2))
    else:
        render.model(document)


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.as_json
@options.general
def pull(config_path: str | None, verbose: bool, names: tuple[str, ...], json_: bool) -> None:
    """Download models; goes on where an earlier download stopped.

    Without NAME: the first of models.preferred, else the best that fits this machine.
    """
    download(config_path, names, json_=json_)


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.as_json
@options.general
def rm(config_path: str | None, verbose: bool, names: tuple[str, ...], json_: bool) -> None:
    """Delete downloaded models. Files elsewhere are never touched."""
    from local_swarm.domain.memory import format_bytes
    from local_swarm.models import overview

    store = _store(config_path)
    removed = []
    for stored in [overview.the_one(name, store) for name in names]:
        freed = store.remove(stored)
        removed.append({"name": stored.reference, "freed_bytes": freed})
        if not json_:
            click.echo(f"removed {stored.reference} ({format_bytes(freed)})")
    if json_:
        click.echo(json.dumps(removed, indent=2))


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.as_json
@options.general
def verify(config_path: str | None, verbose: bool, names: tuple[str, ...], json_: bool) -> None:
    """Compare downloaded models with their checksums and read their headers; all without NAME."""
    from local_swarm.cli import render
    from local_swarm.cli.transfer import transfer
    from local_swarm.errors import ModelError
    from local_swarm.models import overview, pulling

    store = _store(config_path)
    found = [overview.the_one(name, store) for name in names] or list(store.all())
    rows: list[dict[str, Any]] = []
    for stored in found:
        with transfer(stored.model_id) as report:
            wrong = list(pulling.problems(stored, report))
        rows.append(
            {
                "name": stored.reference,
                "ok": not wrong,
                "checksum": pulling.has_checksum(stored),
                "problems": wrong,
            }
        )
    if json_:
        click.echo(json.dumps(rows, indent=2))
    else:
        render.verified(rows)
    bad = [row["name"] for row in rows if not row["ok"]]
    if bad:
        raise ModelError(
            f"{len(bad)} of {len(rows)} models are damaged: {', '.join(bad)}.",
            hint="Remove them with `lswarm models rm` and pull them again.",
        )


def download(config_path: str | None, names: tuple[str, ...], *, json_: bool = False) -> None:
    """Pulls these models; where none is named, the preferred one of the settings, else the best
    that fits this machine."""
    from local_swarm.cli.transfer import transfer
    from local_swarm.models.download import Puller
    from local_swarm.models.pulling import look_up

    store = _store(config_path)
    pulled = []
    for name in names or (_default(config_path),):
        wanted = look_up(name, Puller(store))
        with transfer(name) as report:
            stored = Puller(store, report).pull(wanted.listing, wanted.names)
        pulled.append(
            {"name": name, "path": str(stored.path), "size_bytes": stored.size_bytes,
             "revision": wanted.listing.revision}
        )  # fmt: skip
        if not json_:
            click.echo(str(stored.path))
    if json_:
        click.echo(json.dumps(pulled, indent=2))


def _default(config_path: str | None) -> str:
    """What is pulled where nothing is named; says which it is."""
    from local_swarm.cli import render
    from local_swarm.swarm.choosing import recommended

    config = options.settings(config_path).config
    if config.models.preferred:
        name, why = config.models.preferred[0], "the first of models.preferred"
    else:
        name, why = recommended(config), "the best model of the catalogue that fits this machine"
    render.say(f"No model is named: {name} is {why}.")
    return name


def _store(config_path: str | None) -> Store:
    from local_swarm.models.store import Store

    return Store.of(options.settings(config_path).config.models.cache_dir)
