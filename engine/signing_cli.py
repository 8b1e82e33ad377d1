"""`attend protocol sign` and `attend protocol diff`: what a medical director reads, and the signature over it."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.kernel.errors import AttendError
from engine.reactions.finding import Finding
from engine.reactions.overlay import SiteOverlay, overlay_objections
from engine.reactions.pack import Pack
from engine.reactions.row import Row

KEY_BYTES = 32
OBJECTIONS_SHOWN = 3


def _pack(name: str, option: str) -> Pack:
    """Return a shipped pack by its id, or one from a file that a data folder kept. Raises UsageError."""
    from engine.bootstrap import load_packs
    from engine.protocol_files import read_pack

    packs = load_packs()
    if name in packs:
        return packs[name]
    path = Path(name)
    if not path.is_file():
        raise click.UsageError(f"{option}: choose one of {', '.join(packs)}, or a pack's file")
    try:
        return read_pack(path)
    except AttendError as error:
        raise click.UsageError(f"{option}: {error}") from None


def _key(path: Path, new: bool) -> Ed25519PrivateKey:
    if new and path.exists():
        raise click.UsageError(f"--new-key: {path} exists; a key is never overwritten")
    if new:
        key = Ed25519PrivateKey.generate()
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes_raw())
        return key
    raw = path.read_bytes() if path.is_file() else b""
    if len(raw) != KEY_BYTES:
        raise click.UsageError(
            f"--key: {path} holds no Ed25519 key of {KEY_BYTES} bytes; make one with --new-key"
        )
    return Ed25519PrivateKey.from_private_bytes(raw)


@click.command("sign")
@click.option("--pack", "name", default="acr-2026", show_default=True, help="a pack of `protocol list`")
@click.option(
    "--overlay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="a site's plan instead, TOML",
)
@click.option("--organization", required=True, help="whose patients it is approved for")
@click.option("--signer", required=True, help="the medical director's person id")
@click.option(
    "--key", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="private key"
)
@click.option("--new-key", is_flag=True, help="make the key first")
@click.option(
    "--data-dir",
    default=Path("attend-data"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="the data folder of the server",
)
@click.option("--yes", is_flag=True, help="do not ask")
def sign(
    name: str,
    overlay: Path | None,
    organization: str,
    signer: str,
    path: Path,
    new_key: bool,
    data_dir: Path,
    yes: bool,
) -> None:
    """Approve a pack, or a site's emergency plan, for live use: sign its hash as the organization's medical director.

    Example: attend protocol sign --organization org-1 --signer dr-lee --key director.key --new-key
    """
    from engine.access.signing import approve
    from engine.bootstrap import load_packs
    from engine.kernel.clock import SystemClock
    from engine.protocol_files import ProtocolFiles, overlay_subject, pack_subject

    kept = ProtocolFiles(data_dir)
    if overlay is None:
        pack = _pack(name, "--pack")
        _no_objection("--pack", _of_lint(pack))
        subject, content, words = pack_subject(pack), pack.hash, _of_pack(pack)
    else:
        plan, text = _overlay(overlay)
        _no_objection("--overlay", overlay_objections(plan, tuple(load_packs())))
        subject, content, words = overlay_subject(plan), plan.hash, _of_plan(plan)
    click.echo(f"{words}\n{subject}, hash {content}")
    if not yes:
        click.confirm(f"Approve it for live use at {organization}, as {signer}?", abort=True)
    key = _key(path, new_key)
    made = approve(
        subject,
        content,
        key,
        organization_id=organization,
        signer_id=signer,
        now=SystemClock().now(),
    )
    if overlay is None:
        kept.keep(pack)
    else:
        kept.keep_overlay(plan, text)
    click.echo(f"Signed: {kept.approved(made)}")
    click.echo(f'Trust it in attend.toml:\n[protocol_signers]\n{json.dumps(signer)} = "{made.public_key}"')


def _of_lint(pack: Pack) -> Sequence[Finding]:
    from engine.reactions.lint import lint

    return lint(pack)


def _no_objection(option: str, found: Sequence[Finding]) -> None:
    """Refuse to sign what the lint objects to. Raises UsageError naming the first objections."""
    if not found:
        return
    words = "; ".join(f"{one.row_id} {one.rule}: {one.sentence}" for one in found[:OBJECTIONS_SHOWN])
    raise click.UsageError(
        f"{option}: not signed, `attend protocol lint` has {len(found)} objections: {words}"
    )


def _of_pack(pack: Pack) -> str:
    rows = list(pack.rows())
    tagged = (f"{len(found)} {tag}: {', '.join(found) or 'none'}" for tag, found in _open_tags(rows))
    return "\n".join([pack.title, pack.disclaimer, f"{len(rows)} rows, of which", *tagged])


def _open_tags(rows: Iterable[Row]) -> Iterator[tuple[str, list[str]]]:
    """Yield each tag that leaves a decision to who signs, and the rows that have it, whole or in single fields."""
    every = list(rows)
    for tag in ("UNSURE", "project proposal"):
        found = []
        for row in every:
            fields = sorted(name for name, one in (row.evidence_of or {}).items() if one == tag)
            if row.evidence == tag:
                found.append(row.id)
            elif fields:
                found.append(f"{row.id} ({', '.join(fields)})")
        yield tag, found


def _of_plan(plan: SiteOverlay) -> str:
    """Return a site's plan as lines to read."""
    from engine.reactions.difference import in_words

    told = ((one.name, getattr(plan, one.name)) for one in dataclasses.fields(plan) if one.name != "hash")
    return "\n".join(f"{name}: {in_words(value)}" for name, value in told)


def _overlay(path: Path) -> tuple[SiteOverlay, str]:
    from engine.protocol_files import read_overlay

    try:
        return read_overlay(path), path.read_text("utf-8")
    except AttendError as error:
        raise click.UsageError(f"--overlay: {error}") from None


@click.command("diff")
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def diff(before: str, after: str, as_json: bool) -> None:
    """Say in words which rows differ between two packs: ids of `protocol list`, or files of a data folder.

    Example: attend protocol diff acr-2026 acr-aaaai-2025
    """
    from engine.reactions.difference import differences

    found = differences(_pack(before, "BEFORE"), _pack(after, "AFTER"))
    if as_json:
        rows = [{"row": one.row_id, "what": one.what, "words": one.words} for one in found]
        click.echo(json.dumps(rows, indent=2))
        return
    for one in found:
        click.echo(f"{one.what:8} {one.row_id}: {one.words}")
    click.echo(f"{len(found)} rows differ")
