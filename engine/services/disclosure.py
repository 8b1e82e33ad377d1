"""Reads of patient data: each is an event on the session's disclosure log, durable before anything is answered."""

from typing import Any

from engine.access.table import MAY_SEE_IDENTITY
from engine.access.tokens import Principal
from engine.kernel.commands import Request
from engine.kernel.errors import Forbidden, Invalid
from engine.kernel.ids import Stream
from engine.services.ports import Ports
from engine.workflows.disclosure.commands import RecordPatientDataRead


async def disclose(ports: Ports, principal: Principal, session: Any, purpose: str, what: str) -> None:
    """Let a person read patient data of a session and keep that they did.

    Raises Forbidden for a role that may not see it, Invalid when no purpose is given; then nothing is disclosed.
    """
    if principal.role not in MAY_SEE_IDENTITY:
        raise Forbidden(f"the role {principal.role} may not see who the patient is")
    if not purpose.strip():
        raise Invalid("purpose", "say why the patient's identity is needed")
    await keep_read(ports, principal, session, what, purpose)


async def keep_read(ports: Ports, principal: Principal, read: Any, what: str, purpose: str = "") -> None:
    """Keep that a person reads what a session or a reaction (`read`, its state) holds of the patient."""
    command = RecordPatientDataRead(
        organization_id=read.organization_id,
        site_id=read.site_id,
        what=what,
        purpose=purpose,
    )
    await ports.executor.execute(
        Request(
            request_id=ports.ids.name("read"),
            stream=Stream("disclosure", read.session_id),
            command=command,
            actor=principal.actor,
            correlation=read.session_id,
        )
    )
