"""`attend protocol`: the packs on the command line. Wrong use is one sentence that names the option, exit code 2."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from engine.kernel.errors import AttendError, Invalid

# Parts are imported by the command that needs them, as in `engine.cli`.

GIVEN = re.compile(
    r"(?P<drug>\S.*?)\s+(?P<route>\S+)\s+(?P<amount>\S+?)\s*(?P<unit>mg|mcg|[µμu]g|g|mL|puffs?)",
    re.IGNORECASE,
)
MASS_MG = {"mg": Decimal(1), "g": Decimal(1000)}
MICROGRAM_MG = Decimal("0.001")
WHOLE = re.compile(r"\d{1,3}")
SETTINGS = ("office", "idtf", "hopd")
GRADES = ("mild", "moderate", "severe")
ZONES = ("I", "II", "III", "IV")


class Problem(click.ClickException):
    """An error that says what to do next; exit code 2."""

    exit_code = 2


@click.group()
def protocol() -> None:
    """Reaction protocol packs."""


@protocol.command("list")
@click.option(
    "--data-dir",
    default=Path("attend-data"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="whose signatures are shown",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="the server's attend.toml, whose protocol_signers are trusted",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def protocol_list(data_dir: Path, config: Path | None, as_json: bool) -> None:
    """List the packs with version, hash, who signed and presentations; a signature counts only when it verifies.

    Example: attend protocol list --config attend.toml --json
    """
    from engine.bootstrap import load_packs
    from engine.settings import load

    try:
        signers = load(config).protocol_signers
    except ValueError as error:
        raise Problem(f"--config: {error}") from None
    packs: list[dict[str, Any]] = [
        {
            "pack": pack.pack_id,
            "version": pack.version,
            "pack_hash": pack.hash,
            "title": pack.title,
            **_signature(data_dir, pack, signers),
            "presentations": list(pack.presentations),
        }
        for pack in load_packs().values()
    ]
    if as_json:
        click.echo(json.dumps(packs, indent=2))
        return
    for pack in packs:
        signed = f"signed by {pack['signed_by']}" if pack["signed_by"] else pack["signature"]
        click.echo(f"{pack['pack']} {pack['version']} {pack['pack_hash'][:12]} ({signed}) {pack['title']}")
        click.echo(f"    {', '.join(pack['presentations'])}")


def _signature(data_dir: Path, pack: Any, signers: Mapping[str, str]) -> Mapping[str, str | None]:
    """Return who signed a pack, None unless the live start would take the signature, and what is to be said of it."""
    from engine.access.signing import check_approval
    from engine.protocol_files import ProtocolFiles, pack_subject

    try:
        found = ProtocolFiles(data_dir).approval(pack.hash)
        if found is None:
            return {"signed_by": None, "signature": "unsigned"}
        organization = found.organization_id
        check_approval(pack_subject(pack), pack.hash, found, organization_id=organization, signers=signers)
    except Invalid as error:
        return {"signed_by": None, "signature": f"not valid: {error.why}"}
    except AttendError as error:
        return {"signed_by": None, "signature": f"not valid: {error}"}
    return {"signed_by": f"{found.signer_id} for {organization}", "signature": "verified"}


@protocol.command("show")
@click.option("--pack", "pack_id", default="acr-2026", show_default=True, help="a pack of `protocol list`")
@click.option("--presentation", required=True, help="anaphylaxis, bronchospasm, hives, …")
@click.option("--severity", default="severe", show_default=True, help="mild, moderate or severe")
@click.option("--age-years", help="whole years; without it the doses of adult and child stand side by side")
@click.option("--age-days", help="days, of an infant below one year: up to 28 days are a newborn's limits")
@click.option("--weight-kg", help="weight in kilograms; without it doses by weight ask for it")
@click.option("--weight-lb", help="the same weight in pounds, to be compared with --weight-kg")
@click.option("--setting", default="idtf", show_default=True, help="office, idtf or hopd")
@click.option("--given", multiple=True, help="a dose that went in: 'epinephrine im 0.2 mg', repeatable")
@click.option("--signs", default="", help="ids of signs, with commas: S-A2-1,S-A2-5")
@click.option("--sbp", help="systolic blood pressure, mmHg")
@click.option("--hr", help="heart rate, 1/min")
@click.option("--spo2", help="oxygen saturation, %")
@click.option("--mri-zone", default="", help="IV puts leaving the magnet's room first")
@click.option("--agent", default="", help="the contrast agent, to be named in the first step")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def protocol_show(as_json: bool, **asked: Any) -> None:
    """Print a protocol resolved for one patient, with formulas and sources.

    Example: attend protocol show --presentation anaphylaxis --age-years 6 --weight-kg 20
    """
    import msgspec

    from engine.bootstrap import load_packs
    from engine.reactions.resolve import resolve_protocol
    from engine.reactions.shown import shown

    packs = load_packs()
    pack = packs[_one_of("--pack", asked["pack_id"], tuple(packs))]
    try:
        situation = _situation(pack, asked)
        answer = shown(pack, situation, resolve_protocol(pack, situation))
    except AttendError as error:
        raise Problem(str(error)) from None
    if as_json:
        exact = msgspec.json.Encoder(decimal_format="number").encode(answer)
        click.echo(msgspec.json.format(exact, indent=2))
    else:
        click.echo("\n".join(_lines(answer)))


@protocol.command("lint")
@click.option(
    "--overlay", "overlays", multiple=True, type=click.Path(path_type=Path), help="a site's plan, TOML"
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def protocol_lint(overlays: tuple[Path, ...], as_json: bool) -> None:
    """Check every pack as a pharmacist would, and site overlays; exit 1 when something is found.

    Example: attend protocol lint --overlay our-site.toml
    """
    from engine.bootstrap import load_packs
    from engine.reactions.lint import lint

    packs = load_packs()
    found = [(pack.pack_id, finding) for pack in packs.values() for finding in lint(pack)]
    found += [("overlay", finding) for path in overlays for finding in _overlay_findings(path, tuple(packs))]
    if as_json:
        objections = [
            {"pack": pack_id, "row_id": f.row_id, "rule": f.rule, "sentence": f.sentence}
            for pack_id, f in found
        ]
        click.echo(json.dumps(objections, indent=2))
    else:
        for pack_id, finding in found:
            click.echo(f"{pack_id} {finding.row_id} {finding.rule}: {finding.sentence}")
        if not found:
            rows = sum(len(tuple(pack.rows())) for pack in packs.values())
            click.echo(f"no objection to {rows} rows of {', '.join(packs)}")
    sys.exit(1 if found else 0)


def _overlay_findings(path: Path, packs: tuple[str, ...]) -> list[Any]:
    """Return what speaks against a site's overlay; where nothing does, its hash is there to be signed."""
    from engine.reactions.finding import Finding
    from engine.reactions.overlay import overlay_objections, parse_overlay

    try:
        overlay = parse_overlay(path.name, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise Problem(f"--overlay: {path} cannot be read as text") from None
    except Invalid as error:
        return [Finding(rule="overlay", row_id=error.field, sentence=error.why)]
    found = overlay_objections(overlay, packs)
    if found:
        return list(found)
    click.echo(f"overlay {overlay.site_id} {overlay.version} {overlay.hash}", err=True)
    return []


def _situation(pack: Any, asked: Mapping[str, Any]) -> Any:
    """Read the options. Raises Problem with one sentence that names the option."""
    from engine.reactions.resolve import Situation
    from engine.reactions.severity import is_adult
    from engine.reactions.state import Severity
    from engine.workflows.session.decide import OLDEST_YEARS

    age = _whole("--age-years", asked["age_years"], OLDEST_YEARS)
    days = _whole("--age-days", asked["age_days"], 365)
    if days is not None and age is None:
        age = 0
    if days is not None and age:
        raise Problem("--age-days: only of an infant below one year; leave it out, or give --age-years 0")
    adult = age is None or is_adult(pack, age)
    signs = tuple(filter(None, (sign.strip() for sign in asked["signs"].split(","))))
    for sign in signs:
        _one_of("--signs", sign, tuple(known.id for known in pack.signs))
    return Situation(
        presentation=_one_of("--presentation", asked["presentation"], pack.presentations),
        severity=Severity(_one_of("--severity", asked["severity"], GRADES)),
        age_years=age,
        age_days=days,
        weight_kg=_weight(pack, asked["weight_kg"], asked["weight_lb"]),
        vitals=_vitals(asked),
        signs=signs,
        agent=asked["agent"],
        mri_zone=_one_of("--mri-zone", asked["mri_zone"], ("", *ZONES)),
        setting=_one_of("--setting", asked["setting"], SETTINGS),
        given=tuple(_given(pack, text, adult, asked["presentation"]) for text in asked["given"]),
    )


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise Problem(f"{option}: choose one of {', '.join(filter(None, allowed))}")
    return value


def _whole(option: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    if not WHOLE.fullmatch(text) or int(text) > most:
        raise Problem(f"{option}: give a whole number from 0 to {most}")
    return int(text)


def _number(option: str, text: str, low: str, high: str) -> Decimal:
    from engine.kernel.quantities import amount

    try:
        return amount(option, text, low=Decimal(low), high=Decimal(high))
    except Invalid:
        raise Problem(f"{option}: give a number between {low} and {high}") from None


def _weight(pack: Any, text_kg: str | None, text_lb: str | None) -> Decimal | None:
    from engine.reactions.weight import weight_problem

    if text_kg is None:
        if text_lb is not None:
            raise Problem("--weight-lb: give --weight-kg as well; pounds only confirm the kilograms")
        return None
    weight = _number("--weight-kg", text_kg, "0.1", "500")
    if text_lb is not None:
        pounds = _number("--weight-lb", text_lb, "0.1", "1200")
        doubt = weight_problem(pack, weight, stated_lb=pounds)
        if doubt is not None:
            raise Problem(f"--weight-lb: {doubt.sentence}")
    return weight


def _vitals(asked: Mapping[str, Any]) -> Any:
    import datetime as dt

    from engine.reactions.state import Vitals

    pressure = _whole("--sbp", asked["sbp"], 300)
    rate = _whole("--hr", asked["hr"], 300)
    oxygen = _whole("--spo2", asked["spo2"], 100)
    if (pressure, rate, oxygen) == (None, None, None):
        return None
    at = dt.datetime.min.replace(tzinfo=dt.UTC)
    return Vitals(at=at, systolic_mmhg=pressure, heart_rate_bpm=rate, spo2_percent=oxygen)


def _given(pack: Any, text: str, adult: bool, presentation: str) -> Any:
    """Read 'epinephrine im 0.2 mg' as a dose of this patient's row for that drug and route.

    A drug that has a row for the arrest and another one by the same route means the arrest's only in an arrest.
    """
    import datetime as dt

    from engine.reactions.guards import Given
    from engine.reactions.names import drug_named, fits, route_named

    parts = GIVEN.fullmatch(text.strip())
    if parts is None:
        raise Problem(
            "--given: write drug, route and amount in mg, mcg, g, mL or puffs, as in 'epinephrine im 0.2 mg'"
        )
    amount = _number("--given", parts["amount"], "0.0001", "100000")
    own = [row for row in pack.drugs if row.population == ("adult" if adult else "child")]
    drug, route = drug_named(pack, parts["drug"]), route_named(pack, parts["route"])
    named = [row for row in own if row.drug == drug]
    if not named:
        raise Problem(f"--given: unknown drug; this pack has {', '.join(sorted({row.drug for row in own}))}")
    fitting = [row for row in named if fits(row.route, route)]
    if not fitting:
        routes = ", ".join(dict.fromkeys(row.route for row in named))
        raise Problem(f"--given: {named[0].drug} has no such route; choose {routes}")
    arrest = presentation == "cardiac_arrest"
    row = min(fitting, key=lambda one: one.never_blocked != arrest)
    at = dt.datetime.min.replace(tzinfo=dt.UTC)
    dose_mg = amount * _unit_mg(row, parts["unit"].casefold())
    return Given(row_id=row.id, counter=row.counter, dose_mg=dose_mg, given_at=at)


def _unit_mg(row: Any, unit: str) -> Decimal:
    """Return the mg in one unit of a dose that went in. Raises Problem when the row cannot tell."""
    if unit == "ml":
        if row.concentration_mg_per_ml is None:
            raise Problem(f"--given: the pack has no concentration for {row.drug} {row.route}; give the mg")
        return Decimal(row.concentration_mg_per_ml)
    if unit.startswith("puff"):
        if row.unit != "puffs" or row.dose_mg is None:
            raise Problem(f"--given: {row.drug} {row.route} is not given in puffs; give the mg")
        return Decimal(row.dose_mg / row.amount)
    return MASS_MG.get(unit, MICROGRAM_MG)


@dataclass(frozen=True, slots=True)
class _Words:
    """One step's line and what stands under it."""

    step: Mapping[str, Any]

    def lines(self, number: int) -> list[str]:
        """Return the step's lines; an alternative has no number, so that it never reads as the next step."""
        step = self.step
        place = "    or" if step["alternative_of"] else f"{number:3}."
        own = [f"{place} {step['text']}"]
        own += [f"        {name}: {step[name]}" for name in ("condition", "formula") if step[name]]
        return [*own, f"        {step['id']}; {step['citation']}; evidence {step['evidence']}"]


def _lines(answer: Mapping[str, Any]) -> list[str]:
    head = f"{answer['presentation']}, {answer['severity']} ({answer['pack']} {answer['pack_hash'][:12]})"
    lines = [head, f"emergency call: {answer['emergency_call']}"]
    number = 0
    for step in answer["steps"]:
        number += step["alternative_of"] is None
        lines += _Words(step).lines(number)
    return lines
