"""A site overlay adds phones and places and never a dose."""

from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import cli
from engine.kernel.canonical import canonical_hash
from engine.kernel.errors import Invalid
from engine.reactions.overlay import parse_overlay, plan_for

PLAN = """
site_id = "demo-office"
pack_id = "acr-2026"
version = "2026-11"
emergency_phone = "9-911"
ems_address = "1 Demo Street, entrance B, ground floor"
ems_meeting_point = "entrance B"
kit_place = "wall beside scanner 1"
defibrillator_place = "reception"

[hospital]
name = "Demo Hospital"
address = "2 Demo Street"
phone = "+1 (555) 010-0100 ext. 7"

[[roles]]
role = "receptionist"
duty = "meets the ambulance at entrance B and opens the door"

[[contacts]]
name = "site lead"
phone = "555-0101"
"""


def test_a_plan_is_read_whole() -> None:
    """Phones, places, roles, hospital; the hash covers all of it."""
    plan = parse_overlay("site.toml", PLAN)
    moved = parse_overlay("site.toml", PLAN.replace("reception", "corridor"))

    assert (plan.emergency_phone, plan.hospital.name) == ("9-911", "Demo Hospital")
    assert (plan.roles[0].role, plan.contacts[0].phone) == ("receptionist", "555-0101")
    assert len(plan.hash) == 64
    assert plan.hash != moved.hash
    assert plan == parse_overlay("other.toml", PLAN)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('kit_place = "wall beside scanner 1"\n', "", "site.toml kit_place"),
        ('kit_place = "wall beside scanner 1"', 'kit_place = " "', "site.toml kit_place"),
        ('kit_place = "wall', 'kit_palce = "wall', "site.toml kit_palce"),
        ('version = "2026-11"', 'version = "2026-11"\ndose_mg = 0.5', "site.toml dose_mg"),
        ('version = "2026-11"', 'version = "2026-11"\nhash = "0"', "site.toml hash"),
        ('duty = "meets', 'duty = "gives 0.5 mg and meets', "site.toml roles 1 duty"),
        ('duty = "meets', 'duty = "gives 1:1000 and meets', "site.toml roles 1 duty"),
        ('duty = "meets', 'dose = "meets', "site.toml roles dose"),
        ('emergency_phone = "9-911"', 'emergency_phone = "call the desk"', "site.toml emergency_phone"),
        ('emergency_phone = "9-911"', 'emergency_phone = ""', "site.toml emergency_phone"),
        ('phone = "555-0101"', "phone = 5550101", "site.toml contacts[0].phone"),
        ("[hospital]", "[hospital", "site.toml"),
    ],
)
def test_a_plan_that_breaks_the_schema_does_not_load_and_says_where(old: str, new: str, field: str) -> None:
    """File and field."""
    assert old in PLAN
    with pytest.raises(Invalid) as refused:
        parse_overlay("site.toml", PLAN.replace(old, new, 1))

    assert refused.value.field == field


def test_an_address_is_no_dose() -> None:
    """House numbers and streets of one letter stay."""
    plan = parse_overlay("site.toml", PLAN.replace("1 Demo Street", "12 G Street, floor 3, unit 4"))

    assert plan.ems_address.startswith("12 G Street")


def test_the_lint_takes_a_sites_overlay(tmp_path: Path) -> None:
    """Exit 0 with the hash to be signed; 1 with file and field; 2 for a file that is not there."""
    path = tmp_path / "site.toml"
    path.write_text(PLAN, "utf-8")
    good = CliRunner().invoke(cli, ["protocol", "lint", "--overlay", str(path)])
    path.write_text(PLAN.replace("acr-2026", "acr-1999"), "utf-8")
    other = CliRunner().invoke(cli, ["protocol", "lint", "--overlay", str(path)])
    path.write_text(PLAN.replace("wall beside", "0.3 mg beside"), "utf-8")
    bad = CliRunner().invoke(cli, ["protocol", "lint", "--overlay", str(path)])
    absent = CliRunner().invoke(cli, ["protocol", "lint", "--overlay", str(tmp_path / "none.toml")])

    assert (good.exit_code, parse_overlay("site.toml", PLAN).hash in good.output) == (0, True)
    assert (other.exit_code, "pack_id" in other.output) == (1, True)
    assert (bad.exit_code, "site.toml kit_place" in bad.output) == (1, True)
    assert (absent.exit_code, absent.output.startswith("Error: --overlay: ")) == (2, True)


@given(
    amount=st.decimals(min_value="0.001", max_value="1000", places=3).map(str),
    unit=st.sampled_from(["mg", " mg", "mL", " mcg", " mg/mL", " puffs", "L/min", " units"]),
)
def test_no_text_carries_a_dose(amount: str, unit: str) -> None:
    """However it is written."""
    with pytest.raises(Invalid, match="no dose"):
        parse_overlay("site.toml", PLAN.replace("entrance B, ground", f"{amount}{unit} of it, ground"))


def test_a_telephone_for_patients_is_signed_and_its_absence_unsigns_no_plan() -> None:
    """The hash covers the number once it is written; a plan from before the field keeps the hash it was signed by."""
    plain, asked = parse_overlay("s", PLAN), parse_overlay("s", f'patient_phone = "555-0188"\n{PLAN}')
    before = {f.name: getattr(plain, f.name) for f in fields(plain) if f.name != "patient_phone"}

    assert plain.hash == canonical_hash({**before, "hash": ""})
    assert asked.patient_phone == "555-0188"
    assert asked.hash != plain.hash
    with pytest.raises(Invalid, match="patient_phone"):
        parse_overlay("s", f'patient_phone = "ask the desk"\n{PLAN}')


def test_a_plan_counts_only_beside_the_pack_it_was_made_for() -> None:
    """Another site's plan, or one for another pack, is nobody's word here."""
    plan = parse_overlay("s", PLAN)
    plans = {plan.site_id: plan}

    assert plan_for(plans, plan.site_id, plan.pack_id) is plan
    assert plan_for(plans, "elsewhere", plan.pack_id) is None
    assert plan_for(plans, plan.site_id, "another") is None
