"""The `attend` command: each subcommand says what it did, in words or as JSON, with exit codes that mean something.

Exit codes: 0 done; 1 the answer is no (a record does not verify, a story went otherwise); 2 wrong use.
"""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import tomllib
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from engine.kernel.errors import AttendError
from engine.protocol_cli import Problem, protocol
from engine.settings import VERSION, Settings, load
from engine.signing_cli import diff, sign

# Parts are imported by the command that needs them: `attend call` must not pay for the whole engine.


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="attend")
def cli() -> None:
    """Attend: an open engine for virtual contrast supervision."""
    # gRPC writes its own lines on standard error; what a person must know is said by the command itself.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@cli.command()
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="attend.toml")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="where the data lives")
@click.option("--bind", help="address to listen on (default 127.0.0.1)")
@click.option("--grpc-port", type=int, help="gRPC port (default 50051, 0 chooses)")
@click.option("--http-port", type=int, help="HTTP port (default 8080, 0 chooses)")
@click.option("--mllp-port", type=int, help="MLLP port (default 2575, 0 chooses)")
@click.option("--media-port", type=int, help="control port of the media node (default: chosen)")
@click.option("--hl7-destination", help="host:port that sealed records go to as ORU^R01")
@click.option("--fhir-base-url", help="FHIR R4 server to read from and write to")
@click.option("--fhir-authority", "authorities", multiple=True, help="AUTHORITY=FHIR-SYSTEM, repeatable")
@click.option(
    "--demo", is_flag=True, default=None, help="demo clock and demo organization; records are marked"
)
@click.option(
    "--ready-file", type=click.Path(dir_okay=False, path_type=Path), help="write the ports here as JSON"
)
def serve(config: Path | None, ready_file: Path | None, authorities: tuple[str, ...], **options: Any) -> None:
    """Run the engine: gRPC, HTTP, MLLP and the media node, on SQLite.

    Example: attend serve --demo --data-dir attend-data
    """
    from engine.services.doors import CertificateUnusable, PlaintextRefused, PortTaken

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if not all("=" in item for item in authorities):
        raise Problem("--fhir-authority: write it as AUTHORITY=FHIR-SYSTEM")
    mapped = dict(item.split("=", 1) for item in authorities)
    settings = _settings(config, fhir_authorities=mapped or None, **options)
    try:
        _run(_serve(settings, ready_file))
    except (PortTaken, PlaintextRefused, CertificateUnusable, AttendError) as error:
        raise Problem(str(error)) from None
    except OSError as error:
        where = error.filename or settings.data_dir
        raise Problem(
            f"cannot use {where}: {error.strerror}; choose another folder with --data-dir"
        ) from None


def _settings(config: Path | None, **overrides: Any) -> Settings:
    try:
        return load(config, **overrides)
    except ValidationError as error:
        raise Problem(_complaint(error.errors()[0])) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{config}: this is not TOML: {error}") from None


def _complaint(first: Any) -> str:
    """Return what is wrong with a setting: its name, and what to write."""
    field = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        said = "there is no such setting"
    return f"{field}: {said}" if field else said


def _run(work: Any) -> Any:
    import uvloop

    return uvloop.run(work)


def _settle() -> None:
    """Let the collector leave alone what stays for good, and look less often: a command makes no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


async def _serve(settings: Settings, ready_file: Path | None) -> None:
    from engine.bootstrap import build
    from engine.demo.network import seed

    engine = build(settings)
    listening = await engine.start(prepare=seed if settings.demo else None)
    _settle()
    ports = {"grpc": listening.grpc, "http": listening.http, "mllp": listening.mllp}
    if ready_file is not None:
        await asyncio.to_thread(ready_file.write_text, json.dumps(ports))
    click.echo(
        f"Attend {VERSION} serves gRPC on {listening.grpc}, HTTP on http://{settings.bind}:{listening.http}/ "
        f"and MLLP on {listening.mllp}; data in {settings.data_dir}. Stop with Ctrl-C."
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    await ended.wait()
    await engine.stop()


async def _ended(playing: Coroutine[Any, Any, int]) -> int:
    """Play to the end, or to SIGTERM: what the demonstration started ends with it either way."""
    task = asyncio.create_task(playing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM


@cli.command()
@click.option("--script", default="severe", show_default=True, help="which story to play")
@click.option("--list", "listing", is_flag=True, help="list the stories")
@click.option("--headless", is_flag=True, help="plain lines, free ports, no prompt")
@click.option("--exit", "leave", is_flag=True, help="end when the story is over instead of serving on")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-out"), show_default=True
)
def demo(script: str, listing: bool, headless: bool, leave: bool, out: Path) -> None:
    """Play a whole supervised session on real input and check that it went as the story says.

    Example: attend demo --script mild --headless --exit
    """
    from engine.demo.folder import Unplayable
    from engine.demo.run import play
    from engine.demo.scripts.stories import STORIES

    if listing:
        for story in STORIES.values():
            click.echo(f"{story.name:12} {story.summary}")
        return
    if script not in STORIES:
        raise Problem(f"--script: choose one of {', '.join(STORIES)}")
    try:
        sys.exit(asyncio.run(_ended(play(STORIES[script], headless=headless, leave=leave, out=out))))
    except Unplayable as error:
        raise Problem(str(error)) from None


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--trust", multiple=True, help="key id whose seals are accepted, repeatable")
def verify(paths: tuple[Path, ...], as_json: bool, trust: tuple[str, ...]) -> None:
    """Check exported records offline; name the first broken event or field.

    Example: attend verify demo-out/record.json
    """
    from engine.records.verify_cli import verify_command

    sys.exit(verify_command(paths, as_json, trust))


@cli.command()
@click.option(
    "--data-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path("attend-data")
)
@click.option("--person", required=True, help="person id, as in the directory")
@click.option("--role", required=True, help="technologist, physician, auditor, …")
@click.option("--organization", default="org-demo", show_default=True)
@click.option("--site", "sites", multiple=True, default=("demo-hospital",), show_default=True)
def token(data_dir: Path, person: str, role: str, organization: str, sites: tuple[str, ...]) -> None:
    """Print a signed token that lives a quarter of an hour; whoever can read the data folder may make one.

    Example: attend token --person tech-1 --role technologist
    """
    from engine.access.tokens import TokenIssuer
    from engine.kernel.clock import SystemClock
    from engine.keys import TOKEN_KEY_ID, load_keys
    from engine.runtime.ids import RandomIds

    issuer = TokenIssuer(load_keys(data_dir).token, TOKEN_KEY_ID, SystemClock())
    try:
        made = issuer.issue(
            person_id=person,
            role=role,
            organization_id=organization,
            sites=sites,
            token_id=RandomIds().name("tok"),
        )
    except AttendError as error:
        raise Problem(str(error)) from None
    click.echo(made)


protocol.add_command(sign)
protocol.add_command(diff)
cli.add_command(protocol)


@cli.group()
def rules() -> None:
    """The rule book."""


@rules.command("list")
def rules_list() -> None:
    """List every row with its dates and status."""
    from engine.bootstrap import load_rulebook

    for rule in load_rulebook().rules:
        dates = f"{rule.effective_from or '…'} to {rule.effective_to or '…'}"
        click.echo(f"{rule.layer:10} {rule.id:22} {rule.status:10} {dates:26} {rule.citation}")


@cli.command()
@click.option("--sessions", type=click.IntRange(1, 1_000_000), default=200, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def simulate(sessions: int, seed: int, as_json: bool) -> None:
    """Run a synthetic network with faults and check every invariant; exit 1 when one is broken.

    Example: attend simulate --sessions 2000 --seed 7 --json
    """
    from engine.simulation.run import report_lines, simulate_network

    report = simulate_network(sessions, seed, progress=not as_json and sys.stderr.isatty())
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        click.echo("\n".join(report_lines(report)))
    sys.exit(1 if report.violations else 0)


@cli.command()
@click.argument("rpc", required=False)
@click.argument("body", default="{}")
@click.option(
    "--target", envvar="ATTEND_TARGET", default="127.0.0.1:50051", show_default=True, help="gRPC address"
)
@click.option("--token", "signed", envvar="TOKEN", default="", help="a token of attend token (or $TOKEN)")
@click.option("--list", "listing", is_flag=True, help="list services and methods")
def call(rpc: str | None, body: str, target: str, signed: str, listing: bool) -> None:
    """Call any RPC of a running engine as JSON, knowing nothing but what the server's reflection says.

    Example: attend call attend.v1.SessionService/ListSessions '{}'
    """
    from engine.demo.reflect import Unknown, call_by_reflection, list_methods

    try:
        if listing or rpc is None:
            click.echo("\n".join(list_methods(target)))
        else:
            click.echo(call_by_reflection(target, rpc, body, signed))
    except Unknown as error:
        raise Problem(str(error)) from None


def main() -> None:
    """Run the command line."""
    cli()
