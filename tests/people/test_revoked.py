"""A licence that is taken away while READY is lit: the injection is looked at with what the directory holds then."""

from typing import Any

import pytest

from engine.kernel.errors import Rejected
from engine.workflows.directory import commands as d
from engine.workflows.session import commands as c
from engine.workflows.session.state import Screening
from tests.people.test_screening import reviewing
from tests.people.town import DOC, FAR, NURSE, TECH, Town, town
from tests.workflows.session import stories as s


def held(kind: str, **of: Any) -> d.RecordCredential:
    return d.RecordCredential(
        person_id="rn-1", kind=kind, number="2", source="board", verified_by="o-1", expires_on=FAR, **of
    )


async def lit(room: Town) -> str:
    """Bring ses-1 to READY by the town's own evidence; return the token."""
    nurse = d.RegisterPerson(person_id="rn-1", name="Nurse", role="responder", sites=("site-1",))
    for command in (nurse, held("licence", licence_type="RN", state="TX"), held("competency")):
        await room.do("directory", "org-1", command)
    await room.schedule()
    await room.do("session", "ses-1", c.StartPreparation())
    await room.do("session", "ses-1", c.RecordScreening(screening=Screening(asthma="no")))
    await room.do("session", "ses-1", s.kit(), NURSE)
    await room.do("session", "ses-1", c.CheckInResponder(responder_id="rn-1"), NURSE)
    await reviewing(room)
    await room.do("session", "ses-1", c.ClearForContrast(agent="iohexol", reason="seen"), DOC)
    for who in (TECH, DOC):
        await room.do("session", "ses-1", c.AttestVerdict(reason="no rule of this state is known"), who)
    state = await room.do("session", "ses-1", c.GrantReady())
    return str(state.ready.token)


async def test_what_still_holds_lets_the_injection_start() -> None:
    """Looked at once more and found as before."""
    async with town() as room:
        state = await room.do("session", "ses-1", c.StartInjection(ready_token=await lit(room)))
        assert "injecting" in state.phases


@pytest.mark.hazard("H-19", "H-22")
@pytest.mark.parametrize(
    ("revoked", "reason"),
    [
        (
            d.RecordCredentialRevoked(person_id="md-1", kind="licence", licence_type="MD", state="TX"),
            "PHYSICIAN_UNLICENSED",
        ),
        (d.RecordCredentialRevoked(person_id="rn-1", kind="competency"), "RESPONDER_NOT_QUALIFIED"),
    ],
)
async def test_a_licence_revoked_under_a_lit_ready_stops_the_injection(
    revoked: d.RecordCredentialRevoked, reason: str
) -> None:
    """READY holds the facts of its moment; the revocation is younger, and the refusal says whose it is."""
    async with town() as room:
        token = await lit(room)
        await room.do("directory", "org-1", revoked)
        with pytest.raises(Rejected, match=reason):
            await room.do("session", "ses-1", c.StartInjection(ready_token=token))
        with pytest.raises(Rejected, match=reason):
            await room.do("session", "ses-1", c.GrantReady())
