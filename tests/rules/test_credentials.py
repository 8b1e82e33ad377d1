"""What somebody lacks on a day: every credential missing, not begun, ended, undated, or not stated."""

import datetime as dt
from dataclasses import replace

import pytest

from engine.rules.credentials import (
    WORDS,
    Credential,
    Licence,
    Party,
    Requirement,
    assumed,
    lasts_until,
    problems,
)

DAY = dt.date(2026, 5, 1)
BEFORE, AFTER = DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=1)
NEED = Requirement(
    who="responder", licence_types=("RN", "NP"), state="CA", competency=True, credentials=("bls",)
)
GOOD = Party(
    licences=(Licence(type="RN", state="CA", expires_on=AFTER),),
    competency_expires_on=AFTER,
    credentials=(Credential(kind="bls", expires_on=AFTER),),
)


def test_nothing_is_wrong_with_somebody_who_holds_all() -> None:
    """The good case has no problem on its first and on its last day."""
    assert problems(GOOD, DAY, NEED) == problems(GOOD, AFTER, NEED) == ()


@pytest.mark.hazard("H-22")
@pytest.mark.parametrize(
    ("person", "reason", "sentence"),
    [
        (replace(GOOD, licences=()), "LICENCE_MISSING", "The responder holds no RN or NP licence in CA."),
        (
            replace(GOOD, licences=(Licence(type="RN", state="NV", expires_on=AFTER),)),
            "LICENCE_MISSING",
            "The responder holds no RN or NP licence in CA.",
        ),
        (
            replace(GOOD, licences=(Licence(type="RT", state="CA", expires_on=AFTER),)),
            "LICENCE_MISSING",
            "The responder holds no RN or NP licence in CA.",
        ),
        (
            replace(GOOD, licences=(Licence(type="RN", state="CA", expires_on=BEFORE),)),
            "LICENCE_EXPIRED",
            "The responder's RN licence in CA expired on 2026-04-30.",
        ),
        (
            replace(GOOD, licences=(Licence(type="RN", state="CA", issued_on=AFTER, expires_on=AFTER),)),
            "LICENCE_NOT_YET_VALID",
            "The responder's RN licence in CA begins on 2026-05-02.",
        ),
        (
            replace(GOOD, competency_expires_on=None),
            "COMPETENCY_MISSING",
            "No competency of the responder is on file.",
        ),
        (
            replace(GOOD, competency_expires_on=BEFORE),
            "COMPETENCY_EXPIRED",
            "The responder's competency expired on 2026-04-30.",
        ),
        (
            replace(GOOD, credentials=()),
            "BLS_MISSING",
            "The responder's basic life support certificate is not on file.",
        ),
        (
            replace(GOOD, credentials=(Credential(kind="bls", expires_on=BEFORE),)),
            "BLS_EXPIRED",
            "The responder's basic life support certificate expired on 2026-04-30.",
        ),
        (
            replace(GOOD, credentials=(Credential(kind="bls"),)),
            "BLS_UNDATED",
            "The responder's basic life support certificate has no dates that cover 2026-05-01.",
        ),
        (
            replace(GOOD, credentials=(Credential(kind="bls", issued_on=AFTER, expires_on=AFTER),)),
            "BLS_UNDATED",
            "The responder's basic life support certificate has no dates that cover 2026-05-01.",
        ),
    ],
)
def test_each_lack_has_a_word_and_a_sentence(person: Party, reason: str, sentence: str) -> None:
    """One thing wrong is one problem, named for machines and for people."""
    assert [(one.reason, one.sentence) for one in problems(person, DAY, NEED)] == [(reason, sentence)]


def test_everything_lacking_is_said_at_once() -> None:
    """Somebody with nothing on file has a problem for each thing required."""
    nobody = Party(licences=(), credentials=())

    assert [one.reason for one in problems(nobody, DAY, NEED)] == [
        "LICENCE_MISSING",
        "COMPETENCY_MISSING",
        "BLS_MISSING",
    ]


def test_an_npi_needs_no_end_and_everything_else_does() -> None:
    """Of all kinds only the NPI may be on file without a last day."""
    endless = {kind for kind in WORDS if Credential(kind=kind).holds(DAY)}

    assert endless == {"npi"}


def test_what_nobody_could_state_is_assumed_and_not_judged() -> None:
    """None is "not stated", which is listed; an empty file is "nothing there", which is a problem."""
    unstated = replace(GOOD, credentials=None)

    assert problems(unstated, DAY, NEED) == ()
    assert assumed(unstated, NEED) == ("responder's basic life support certificate on file",)
    assert assumed(GOOD, NEED) == ()


def test_a_renewed_credential_lasts_as_long_as_its_renewal() -> None:
    """An old licence or certificate beside its renewal shortens nothing; what is not required does not count."""
    later = AFTER + dt.timedelta(days=365)
    renewed = Party(
        licences=(*GOOD.licences, Licence(type="NP", state="CA", expires_on=later)),
        competency_expires_on=later,
        credentials=(*(GOOD.credentials or ()), Credential(kind="bls", expires_on=later)),
    )
    licence_only = Requirement(who="responder", licence_types=("RN", "NP"), state="CA")

    assert lasts_until(GOOD, DAY, NEED) == AFTER
    assert lasts_until(renewed, DAY, NEED) == later
    assert lasts_until(replace(renewed, competency_expires_on=BEFORE), DAY, licence_only) == later
    assert lasts_until(Party(licences=()), DAY, NEED) is None


def test_what_has_ended_gives_no_last_day() -> None:
    """A lapsed certificate is a problem and not a last day in the past."""
    lapsed = replace(GOOD, credentials=(Credential(kind="bls", expires_on=BEFORE),))

    assert lasts_until(lapsed, DAY, NEED) == AFTER
