"""The table of who may call what: complete, default-deny, and laid out for a person to review."""

from pathlib import Path

import pytest

from engine.access.roles import ROLES
from engine.access.table import TABLE, permit
from engine.access.tokens import Principal
from engine.kernel.errors import Forbidden
from engine.services.contract import rpcs
from tests.services.house import NOW

MATRIX = Path(__file__).with_name("matrix.txt")
ORDER = (
    "technologist",
    "responder",
    "physician",
    "coverage_manager",
    "medical_director",
    "compliance_officer",
    "auditor",
    "integrator",
    "operator",
)


def principal(role: str) -> Principal:
    return Principal(
        person_id="p",
        role=role,
        organization_id="org-1",
        sites=frozenset(),
        token_id="t",
        issued_at=NOW,
        expires_at=NOW,
    )


def drawn() -> str:
    """Return the table as text: a column a role, a row an RPC."""
    lines = ["Who may call what. x = may. `python -m tests.access.test_table` writes this file.", ""]
    lines.append(" " * 46 + "  ".join(f"{role[:6]:6}" for role in ORDER))
    for rpc in sorted(TABLE):
        marks = "  ".join("x     " if role in TABLE[rpc] else ".     " for role in ORDER)
        lines.append(f"{rpc.removeprefix('/attend.v1.'):46}{marks}".rstrip())
    return "\n".join(lines) + "\n"


def test_every_rpc_has_a_row_and_every_row_an_rpc() -> None:
    """Nothing is open because it was forgotten, and no row outlives its RPC."""
    assert set(TABLE) == {rpc.name for rpc in rpcs(demo=True)}
    assert set().union(*TABLE.values()) == set(ROLES) == set(ORDER)
    assert [rpc for rpc, roles in TABLE.items() if not roles] == []


def test_what_has_no_row_is_refused() -> None:
    """An RPC that nobody thought of is refused to everybody."""
    for role in ROLES:
        with pytest.raises(Forbidden):
            permit(principal(role), "/attend.v1.SessionService/DeleteSession")


def test_the_table_is_the_one_that_was_reviewed() -> None:
    """A change of who may do what shows up as a change of the drawn matrix."""
    assert MATRIX.read_text() == drawn()


def test_only_physicians_decide_what_only_physicians_may() -> None:
    """Clearing, ordering, grading, disposing and attesting are the physician's alone."""
    for rpc in (
        "SessionService/ClearForContrast",
        "SessionService/AttestRecord",
        "ReactionService/OrderStep",
        "ReactionService/GradeReaction",
        "ReactionService/DisposeReaction",
    ):
        assert TABLE[f"/attend.v1.{rpc}"] == {"physician"}


def test_everybody_at_the_patient_may_report_a_reaction() -> None:
    """REACTION is open to each clinical role."""
    assert TABLE["/attend.v1.SessionService/ReportReaction"] == {"technologist", "responder", "physician"}


if __name__ == "__main__":
    MATRIX.write_text(drawn())
