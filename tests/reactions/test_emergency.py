"""The emergency pack: every path, resolved as the engine would, small, and enough for a console without a network."""

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.canonical import canonical_bytes
from engine.reactions.dose import Dose
from engine.reactions.emergency import Patient, Place, emergency_pack
from engine.reactions.overlay import SiteOverlay, parse_overlay
from engine.reactions.resolve import Situation, resolve_protocol
from engine.reactions.severity import suggest
from engine.reactions.state import Medication, Severity, Vitals
from tests.reactions.console import Console
from tests.reactions.packs import ACR, CONSENSUS, pack
from tests.reactions.test_overlay import PLAN

LIMIT_BYTES = 64 * 1024
SESSION_BYTES = 3 * 1024
START = dt.datetime(2026, 3, 2, 14, 0, tzinfo=dt.UTC)
PLACE = Place(ems_phone="911", ems_address="1 Demo Street, entrance B")
PEOPLE = [(40, "70"), (6, "20"), (0, "3.5"), (None, None), (None, "70"), (40, None), (6, None), (12, "55")]
SETTINGS = ("office", "idtf", "hopd")


def overlay(roles: int = 1) -> SiteOverlay:
    more = '\n[[roles]]\nrole = "nurse"\nduty = "brings the kit and the defibrillator, calls out the time"\n'
    return parse_overlay("site.toml", PLAN + more * (roles - 1))


def epinephrine(mg: str = "0.3", after_s: int = 0) -> Medication:
    return Medication(
        step_id="",
        row_id="A-EPI-IM",
        drug="epinephrine",
        route="IM",
        dose_mg=Decimal(mg),
        concentration_mg_per_ml=Decimal(1),
        volume_ml=Decimal(mg),
        counter="epinephrine",
        given_at=START + dt.timedelta(seconds=after_s),
        given_by="responder-1",
    )


def patient(age: int | None = 40, kg: str | None = "70", **change: Any) -> Patient:
    fields: dict[str, Any] = {"setting": "idtf", "modality": "CT", "agent": "iohexol", **change}
    return Patient(age_years=age, weight_kg=Decimal(kg) if kg else None, **fields)


def document(who: Patient, name: str = ACR, plan: SiteOverlay | None = None) -> bytes:
    return canonical_bytes(emergency_pack(pack(name), who, PLACE, plan))


@pytest.mark.hazard("H-27", "H-28")
@pytest.mark.parametrize(("name", "setting"), itertools.product((ACR, CONSENSUS), SETTINGS))
@pytest.mark.parametrize(("age", "kg"), PEOPLE)
def test_it_is_small(name: str, setting: str, age: int | None, kg: str | None) -> None:
    """Under 64 KiB with the longest plan and a hundred doses, in CT and MRI, adult, child, age and weight unknown.

    What a session adds on top (ids, a doubt about the weight, four reactions) is under 3 KiB.
    """
    given_doses = tuple(epinephrine(after_s=300 * number) for number in range(100))
    for modality, zone in (("CT", ""), ("MR", "IV")):
        who = patient(age, kg, setting=setting, modality=modality, mri_zone=zone, given=given_doses)

        assert len(document(who, name, overlay(roles=24))) < LIMIT_BYTES - SESSION_BYTES


@pytest.mark.hazard("H-11", "H-27", "H-38")
@pytest.mark.parametrize("name", [ACR, CONSENSUS])
@pytest.mark.parametrize("zone", ["", "IV"])
@pytest.mark.parametrize(("age", "kg"), PEOPLE)
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_path_is_the_engines_own(
    name: str, zone: str, age: int | None, kg: str | None, setting: str
) -> None:
    """Each presentation at each grade: the same steps in the same order with the same doses, call and repeats."""
    who = patient(age, kg, setting=setting, mri_zone=zone)
    console = Console(document(who, name))
    for presentation, severity in itertools.product(pack(name).presentations, Severity):
        found = resolve_protocol(
            pack(name),
            Situation(
                presentation=presentation,
                severity=severity,
                age_years=age,
                weight_kg=who.weight_kg,
                agent="iohexol",
                mri_zone=zone,
                setting=setting,
            ),
        )
        path = console.path(presentation, severity)

        assert (path["row_id"], path["emergency_call"]) == (found.row_id, found.emergency_call)
        assert [(key, step["text"]) for key, step in path["steps"]] == [
            (step.step_id, step.text) for step in found.steps
        ]
        for (_, shown), step in zip(path["steps"], found.steps, strict=True):
            assert shown.get("call_level", "none") == step.call_level
            assert shown.get("repeat_min_s") == step.repeat_min_s
            assert shown.get("observe_min_s") == step.observe_min_s
            assert shown.get("standing_order", False) == step.standing_order
            assert shown.get("physician_decides", "") == step.physician_decides
            doses = shown["doses"]
            assert [(d["row_id"], d["condition"], d["instead_of"]) for d in doses] == [
                (option.row_id, option.condition, option.instead_of) for option in step.options
            ]
            for option in step.options:
                check_dose(console.pack["doses"][option.row_id], option.dose)


def check_dose(shown: dict[str, Any], dose: Any) -> None:
    """A dose is written with every number, or says what it waits for."""
    if not isinstance(dose, Dose):
        assert shown["waits_for"] in ("weight", "physician")
        assert "dose_mg" not in shown
        return
    assert shown["amount_text"] == dose.amount_text
    assert shown["formula"] == dose.formula
    assert shown["route"] == dose.route
    numbers = (
        "dose_mg",
        "dose_max_mg",
        "concentration_mg_per_ml",
        "volume_ml",
        "measured_ml",
        "amount",
        "max_single_mg",
    )
    for field in numbers:
        value = getattr(dose, field)
        assert shown.get(field) == (str(value) if value is not None else None), field
    assert shown.get("repeat_min_s") == dose.repeat_min_s
    assert shown.get("needs_order", True) == dose.needs_order


SIGNS = [sign.id for sign in pack(CONSENSUS).signs]
MEASURED = st.none() | st.integers(20, 260)


@pytest.mark.hazard("H-27")
@given(
    st.sampled_from([ACR, CONSENSUS]),
    st.sampled_from([None, 0, 1, 4, 9, 15, 17, 18, 60]),
    st.lists(st.sampled_from(SIGNS), max_size=4),
    st.tuples(MEASURED, MEASURED, st.none() | st.integers(60, 100), st.none() | st.integers(40, 180)),
)
def test_a_console_suggests_by_the_tables_what_the_engine_suggests(
    name: str, age: int | None, signs: list[str], vitals: tuple[int | None, ...]
) -> None:
    """From signs and vital signs alone, with nothing but the object, the grade is the engine's."""
    systolic, pulse, oxygen, diastolic = vitals
    measured = {
        "systolic_mmhg": systolic,
        "heart_rate_bpm": pulse,
        "spo2_percent": oxygen,
        "diastolic_mmhg": diastolic,
    }
    expected = suggest(pack(name), signs, Vitals(at=START, **measured), age_years=age).severity
    console = Console(document(patient(age, "20"), name))
    known = [sign.id for sign in pack(name).signs]

    assert console.suggestion(
        [sign for sign in signs if sign in known],
        {key: value for key, value in measured.items() if value is not None},
    ) == (expected.value if expected else None)


def test_it_says_where_to_call_and_who_is_bound_by_it() -> None:
    """The site's plan wins over the directory; phones, address, kit, hospital and roles are there; so is the pack."""
    shown = Console(document(patient(), plan=overlay())).pack
    bare = Console(document(patient())).pack

    assert (shown["site"]["emergency_phone"], bare["site"]["emergency_phone"]) == ("9-911", "911")
    assert shown["site"]["ems_address"] == "1 Demo Street, entrance B, ground floor"
    assert (shown["site"]["kit_place"], shown["site"]["hospital"]["name"]) == (
        "wall beside scanner 1",
        "Demo Hospital",
    )
    assert shown["site"]["roles"][0]["role"] == "receptionist"
    assert shown["pack"]["hash"] == pack().hash
    assert shown["pack"]["disclaimer"] == pack().disclaimer
    assert [row["drug"] for row in Console(document(patient())).table("look_alikes")] == ["epinephrine"]
    assert Console(document(patient())).table("observations")


@pytest.mark.hazard("H-12")
def test_what_was_given_counts() -> None:
    """Doses so far stand with their total, and a dose that would go past a cap carries the warning."""
    who = patient(given=(epinephrine("0.5"), epinephrine("0.4", after_s=600)))
    console = Console(document(who))
    assert console.pack["totals_mg"] == {"epinephrine": "0.9"}
    assert [dose["dose_mg"] for dose in console.pack["given"]] == ["0.5", "0.4"]
    assert "1 mg" in console.pack["doses"]["A-EPI-IM"]["warning"]


@given(
    st.none() | st.integers(0, 110),
    st.none() | st.decimals("0.5", "300", places=1),
    st.sampled_from([ACR, CONSENSUS]),
)
def test_it_can_be_made_for_anybody(age: int | None, kg: Decimal | None, name: str) -> None:
    """Whatever age and weight: every presentation has a path for each grade, and each key leads somewhere."""
    console = Console(document(patient(age, str(kg) if kg else None), name))
    for presentation, severity in itertools.product(pack(name).presentations, Severity):
        path = console.path(presentation, severity)
        for _, step in path["steps"]:
            assert 0 <= step["source"] < len(console.pack["sources"])
            assert all(option["row_id"] in console.pack["doses"] for option in step["doses"])
