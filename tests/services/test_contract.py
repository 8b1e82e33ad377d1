"""The contract and the commands are one thing spelled twice: these tests hold them together, both ways."""

import dataclasses
import importlib
import re
import typing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from engine.kernel.commands import Command, verb
from engine.kernel.stepper import Stepper
from engine.reactions import chart as reaction_chart
from engine.reactions import commands as reaction_commands
from engine.reactions.state import ReactionState
from engine.reactions.step_chart import StepChart
from engine.services.contract import FILLED, MACHINES, rpcs, services
from engine.services.views import VIEWS

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ("session", "ring", "coverage", "delivery", "message", "directory", "drill")
HIDDEN_FROM_VIEW = {"message": {"raw"}, "drill": {"scenario"}}


def machine(name: str) -> Any:
    """Return name, chart, stepper and public verbs of a machine; the reaction's without a pack."""
    if name == "reaction":
        kinds = [
            k for k in vars(reaction_commands).values() if isinstance(k, type) and issubclass(k, Command)
        ]
        return SimpleNamespace(
            chart=reaction_chart.ReactionChart,
            stepper=Stepper(reaction_chart.ReactionChart, reaction_chart.GUARDS),
            commands=[kind for kind in kinds if kind is not Command],
            state=ReactionState,
        )
    room = importlib.import_module(f"engine.workflows.{name}")
    made = room.machine()
    state = importlib.import_module(f"engine.workflows.{name}.state")
    return SimpleNamespace(
        chart=made.chart,
        stepper=made.stepper,
        commands=made.commands,
        state=type(made.initial("x")) if state else None,
    )


PAIRS = [
    (service, name, kind)
    for service, (name, _) in MACHINES.items()
    for kind in machine(name).commands
    if not kind.internal
]


def method(service: str, rpc: str) -> Any:
    found = {one.name: one for one in services(demo=True)}
    return found[service].methods_by_name.get(rpc)


def test_every_command_is_an_rpc_and_every_rpc_of_a_machine_a_command_or_a_read() -> None:
    """No verb is out of reach, and no RPC does what no verb says."""
    commands = {(service, kind.__name__) for service, _, kind in PAIRS}
    offered = {(rpc.service, rpc.method) for rpc in rpcs(demo=True) if rpc.service in MACHINES}
    reads = {(service, name) for service, name in offered if name.startswith(("Get", "List"))}

    assert commands - offered == set()
    assert commands & reads == set()
    assert offered - commands - reads == set()


@pytest.mark.parametrize(
    ("service", "name", "kind"), PAIRS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_request_has_exactly_the_commands_fields(service: str, name: str, kind: type[Command]) -> None:
    """What a caller may say is in the request; what the engine fills in is not; nothing else is there."""
    stream_field = MACHINES[service][1]
    request = method(service, kind.__name__).input_type
    wanted = {field.name for field in dataclasses.fields(kind)} - FILLED.get(kind.__name__, frozenset())
    given = {field.name for field in request.fields} - {"header", stream_field}

    assert wanted - {stream_field} == given
    assert request.fields_by_name["header"].number == 1
    assert request.fields_by_name[stream_field].number == 2
    assert_spelled(kind, request)


def assert_spelled(kind: type[Any], message: Descriptor) -> None:
    """Check that a message spells a dataclass's types: amounts as text with a pattern, moments as Timestamp."""
    hints = typing.get_type_hints(kind)
    for field in message.fields:
        if field.name not in hints:
            continue
        text = str(hints[field.name])
        spelled = field.message_type.full_name if field.message_type is not None else ""
        if hints[field.name] is Decimal or "Decimal" in text:
            assert field.type == field.TYPE_STRING, field.full_name
            assert "pattern" in str(field.GetOptions()), field.full_name
        if "datetime.datetime" in text:
            assert spelled == "google.protobuf.Timestamp", field.full_name
        if "datetime.date'" in text:
            assert spelled == "attend.v1.Date", field.full_name


@pytest.mark.parametrize("name", [*WORKFLOWS, "reaction"])
def test_a_view_shows_every_field_of_the_state(name: str) -> None:
    """A state's view has each of its fields by name, and its phase enum each of its chart's leaves."""
    made = machine(name)
    shown: Any = VIEWS[name].DESCRIPTOR
    fields = {field.name for field in dataclasses.fields(made.state)}
    leaves = {leaf for region in regions(made.chart) for leaf in region}
    phases = shown.fields_by_name["phases"].enum_type
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", phases.name).upper() + "_"

    assert fields - HIDDEN_FROM_VIEW.get(name, set()) == {field.name for field in shown.fields}
    assert {value.name.removeprefix(prefix).lower() for value in phases.values} == leaves | {"unspecified"}


def test_steps_show_every_phase_of_their_chart() -> None:
    """A step's phase enum has each leaf of the step chart."""
    shown: Any = VIEWS["reaction"].DESCRIPTOR
    phases = shown.file.enum_types_by_name["StepPhase"]

    assert {v.name.removeprefix("STEP_PHASE_").lower() for v in phases.values} == {
        *(leaf for region in regions(StepChart) for leaf in region),
        "unspecified",
    }


def leaves_of(state: Any) -> list[str]:
    inner = list(state.states)
    return [leaf for child in inner for leaf in leaves_of(child)] if inner else [str(state.id)]


def regions(chart: Any) -> list[list[str]]:
    """Return the leaves of each region of a chart; one region when it is not parallel."""
    top = list(chart.states)
    while len(top) == 1 and not top[0].parallel and list(top[0].states):
        top = list(top[0].states)
    if len(top) == 1 and top[0].parallel:
        return [leaves_of(region) for region in top[0].states]
    return [[leaf for state in top for leaf in leaves_of(state)]]


def allowed(stepper: Stepper, phases: tuple[str, ...], event: str) -> bool:
    """Return whether an event has a way out of a configuration when no guard refuses, by whatever route."""
    names = stepper.guards_of(phases, event)
    ways = [dict.fromkeys(names, False), *({name: name == on for name in names} for on in names)]
    return any(stepper.ask(phases, event, way) is not None for way in ways)


def phases_of(made: Any, kind: type[Command]) -> list[str] | None:
    """Return the phases from which the chart lets a verb through; None for every one."""
    initial, found, everywhere = made.stepper.initial, [], True
    for region in regions(made.chart):
        others = [phase for phase in initial if phase not in region]
        hits = [leaf for leaf in region if allowed(made.stepper, tuple(sorted([*others, leaf])), verb(kind))]
        everywhere = everywhere and len(hits) == len(region)
        if len(hits) != len(region):
            found.extend(hits)
    return None if everywhere else found


def comments() -> dict[str, str]:
    """Return the leading comment of every RPC by Service/Rpc, and of everything else by its full path."""
    found = {}
    described = FileDescriptorSet.FromString((ROOT / "build" / "attend.binpb").read_bytes())
    for file in described.file:
        if not file.name.startswith("attend/v1/"):
            continue
        for place in file.source_code_info.location:
            named = _named(file, list(place.path))
            if named:
                found[named] = " ".join(place.leading_comments.split())
    return found


def _named(file: Any, path: list[int]) -> str:
    kinds = {4: "message_type", 5: "enum_type", 6: "service", 2: "", 3: ""}
    if not path or path[0] not in {4, 5, 6} or len(path) % 2:
        return ""
    one = getattr(file, kinds[path[0]])[path[1]]
    if len(path) == 2:
        return str(one.name)
    if len(path) == 4 and path[2] == 2:
        inner = getattr(one, {4: "field", 5: "value", 6: "method"}[path[0]])[path[3]]
        return f"{one.name}/{inner.name}"
    return ""


COMMENTS = comments()


@pytest.mark.parametrize(
    ("service", "name", "kind"), PAIRS, ids=lambda value: getattr(value, "__name__", value)
)
def test_an_rpcs_comment_says_from_which_phases_it_may_be_called(
    service: str, name: str, kind: type[Command]
) -> None:
    """The phases in the comment are the chart's, asked through the stepper."""
    phases = phases_of(machine(name), kind)
    sentence = "From any phase." if phases is None else f"From phases: {', '.join(phases)}."

    assert COMMENTS[f"{service}/{kind.__name__}"].endswith(sentence)


def test_everything_in_the_contract_is_explained() -> None:
    """Every service, RPC, message, field, enum and value carries a comment."""
    assert len(COMMENTS) > 500
    assert [name for name, text in COMMENTS.items() if not text] == []


def test_a_patients_identity_is_one_message_that_can_be_redacted() -> None:
    """Wherever the identity or a part of it is a field, the field is marked debug_redact."""
    loose = []
    for rpc in rpcs(demo=True):
        for top in (rpc.request.DESCRIPTOR, rpc.response.DESCRIPTOR):
            for field in walk(top, set()):
                whole = field.message_type is not None and field.message_type.name == "PatientIdentity"
                part = field.name in {"mrn", "family", "given", "birth_date"} and field.message_type is None
                part = part and field.type == field.TYPE_STRING
                if (whole or part) and not field.GetOptions().debug_redact:
                    loose.append(field.full_name)

    assert loose == []


def walk(message: Any, seen: set[str]) -> Any:
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield field
        if field.message_type is not None:
            yield from walk(field.message_type, seen)
