"""Where a message says two things, or one that looks like another, nobody here chooses: it is held, refused or said."""

from collections.abc import AsyncIterator

import pytest

from integrations.hl7_fhir import ack
from tests.hl7_fhir.test_intake import ORDER, PEER, Desk, update
from tests.hl7_fhir.wire import NOW


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk with nothing on it."""
    made = Desk()
    await made.executor.open()
    yield made


def order(before: bytes, after: bytes) -> bytes:
    """The order with one thing replaced."""
    assert before in ORDER
    return ORDER.replace(before, after)


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        (b"DEMO^PATIENT", b"DEMO^PATIENT^^^^^L~OTHER^NAME^^^^^L", "PID-5"),
        (b"|19710412|", b"|19710412~19720412|", "PID-7"),
        (b"|F\r", b"|F~M\r", "PID-8"),
        (b"DEMO1001^", b"DEMO1001&2^", "PID-3"),
        (b"ORC|NW", b"ORC|NW~CA", "ORC-1"),
        (b"ORC|NW", b"ORC|NW&CA", "ORC-1"),
        (b"ORC|NW", b"ORC|NW^CA", "ORC-1"),
        (b"||SC||", b"||SC~CA||", "ORC-5"),
        (b"|ACC1|", b"|ACC1&2|", "OBR-18"),
        (b"PL1^DEMORIS|FL1", b"PL1&2^DEMORIS|FL1", "ORC-2"),
        (b"^DEMOPROC", b"^DEMOPROC~CTHEADWC^CT head^DEMOPROC", "OBR-4"),
    ],
)
async def test_two_values_for_one_are_held(desk: Desk, before: bytes, after: bytes, place: str) -> None:
    """The first is not taken for the only one, nor a number cut short at a mark that was not escaped."""
    await desk.send(order(before, after))
    [held] = await desk.messages()

    assert (held.phases, held.reason, held.what.split(" ")[0]) == (("held",), "SEVERAL_VALUES", place)
    assert await desk.sessions() == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"DEMO^PATIENT", b"OTHER^NAME^^^^^A~DEMO^PATIENT^^^^^L"),
        (b"DEMO^PATIENT", b"DEMO^PATIENT~DEMO^PATIENT"),
        (b"|19710412|", b"|19710412~19710412|"),
        (b"|F\r", b"|F~F\r"),
        (b"ORC|NW", b"ORC|NW~NW"),
        (b"^DEMOPROC", b"^DEMOPROC^79103-8^CT^LN"),
    ],
)
async def test_the_same_twice_is_one_and_a_legal_name_is_told_from_another(
    desk: Desk, before: bytes, after: bytes
) -> None:
    """None of this leaves a doubt."""
    await desk.send(order(before, after))
    [made] = await desk.sessions()

    assert made.identity is not None
    assert (made.identity.family, made.identity.given) == ("DEMO", "PATIENT")
    assert (await desk.messages())[0].notices == ()


@pytest.mark.hazard("H-08")
async def test_one_procedure_under_codes_of_two_modalities_is_held(desk: Desk) -> None:
    """A CT by one triplet and an MRI by the other: the first that is mapped does not win."""
    await desk.send(order(b"^DEMOPROC", b"^DEMOPROC^MRBRAINWC^MRI brain^DEMOPROC"))

    assert (await desk.messages())[0].reason == "PROCEDURE_DIFFERS"
    assert await desk.sessions() == []


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("mark", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u00a0", "\uff11", "\u200d"])
@pytest.mark.parametrize("number", ["DEMO1001", "|ACC1", "PL1", "1.2.3.4.5.1"])
async def test_a_number_that_is_not_what_it_looks_like_is_held(desk: Desk, mark: str, number: str) -> None:
    """A mark that takes no room, a blank that is none, a digit of another width: another number to a machine only."""
    await desk.send(order(number.encode(), f"{number[:-1]}{mark}{number[-1]}".encode()))
    [held] = await desk.messages()

    assert (held.phases, held.reason) == (("held",), "HIDDEN_CHARACTERS")
    assert await desk.sessions() == []


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(("mark", "taken"), [("\u200b", 0), ("\u00ad", 0), ("\u200d", 1), ("\u00e9", 1)])
async def test_a_name_may_hold_what_its_script_needs(desk: Desk, mark: str, taken: int) -> None:
    """Joiners and accents are letters' business; a mark for nothing but a place to break a line is not."""
    await desk.send(order(b"DEMO^PATIENT", f"DE{mark}MO^PATIENT".encode()))

    assert len(await desk.sessions()) == taken


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (b"ORM", b"a type and no event"),
        (b"OMI", b"a type and no event"),
        (b"ADT", b"a type and no event"),
        (b"ORM^O01~ADT^A08", b"more than one type"),
    ],
)
async def test_an_order_without_its_event_is_refused_and_not_unused(
    desk: Desk, kind: bytes, why: bytes
) -> None:
    """It was stored as of no use, and nobody was told that an order is missing."""
    raw = order(b"ORM^O01", kind)
    reply = ack.build(raw, await desk.intake.receive(raw, PEER), now=NOW, control_id="A1") or b""
    await desk.reader.drain()
    [held] = await desk.messages()

    assert b"\rMSA|AR|O1|" in reply and why in reply
    assert (held.phases, held.reason, held.what.split(":")[0]) == (("held",), "REFUSED", "MSH-9")


@pytest.mark.parametrize(
    ("pid", "notice"),
    [
        (b"|F" + b"|" * 22 + b"Y", "PID-30: what it says of a death is not read"),
        (b"|F" + b"|" * 21 + b"20261119", "PID-29: a time of death is not read"),
    ],
)
async def test_a_death_is_said(desk: Desk, pid: bytes, notice: str) -> None:
    """By an order and by a patient's message: the field is named, and what it says is not repeated."""
    await desk.send(ORDER.replace(b"|F\r", pid + b"\r"))
    await desk.send(update(allergy="Iohexol").replace(b"|F\r", pid + b"\r"))

    assert [one.notices for one in await desk.messages()] == [(notice,), (notice,)]


async def test_nobody_said_to_have_died_is_no_notice(desk: Desk) -> None:
    """PID-30 N is what most feeds send."""
    await desk.send(ORDER.replace(b"|F\r", b"|F" + b"|" * 22 + b"N\r"))

    assert (await desk.messages())[0].notices == ()


async def test_names_of_which_none_is_called_legal_are_said(desk: Desk) -> None:
    """The standard puts the legal name first: it is taken, and the notice says that there were others."""
    await desk.send(order(b"DEMO^PATIENT", b"DEMO^PATIENT~OTHER^NAME"))

    assert (await desk.messages())[0].notices == (
        "PID-5: several names and none is called the legal one; the first was taken",
    )
