"""The passages of a treated reaction: report, grade, order, read back, give, dispose."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.demo.script import Advance, Await, Do, Step

RESPONDER = "responder"
#: The shortest repeat interval of IM epinephrine (A-EPI-IM: every 5 to 15 minutes); never shortened.
REPEAT_S = 5 * 60


def report(signs: tuple[str, ...], vitals: Mapping[str, Any]) -> tuple[Step, ...]:
    """The technologist presses REACTION, then taps signs and enters vitals."""
    return (
        Do("SessionService.ReportReaction"),
        Await("ReactionOpened"),
        Do("ReactionService.RecordSigns", {"signs": list(signs)}),
        Do("ReactionService.RecordVitals", vitals),
    )


def grade(severity: str, presentation: str) -> tuple[Step, ...]:
    """The physician sees signs and vitals and sets the grade."""
    return (
        Await("VitalsRecorded"),
        Do(
            "ReactionService.GradeReaction",
            {"severity": f"SEVERITY_{severity.upper()}", "presentation": presentation},
        ),
        Await("ReactionGraded"),
        Await("ProtocolResolved"),
    )


def order(drug: str, route: str = "", **change: str) -> tuple[Step, ...]:
    """The physician orders a drug of the protocol, at its resolved dose or another, and waits until it is given."""
    return (
        Do("ReactionService.OrderStep", lambda seen: seen.offer(drug, route, **change)),
        Await("StepReadBack"),
        Await("MedicationGiven"),
    )


def read_back_and_give() -> tuple[Step, ...]:
    """The order comes; the responder repeats it, gives the drug and reports it."""
    return (Await("StepOrdered"), *repeat_and_give())


def repeat_and_give() -> tuple[Step, ...]:
    """The responder, who may treat, repeats the order, gives the drug and reports it."""
    return (
        Do("ReactionService.ReadBackStep", lambda seen: seen.read_back(), by=RESPONDER),
        Do("ReactionService.RecordMedicationGiven", lambda seen: seen.given(), by=RESPONDER),
    )


def base_set() -> tuple[Step, ...]:
    """Once the physician has graded: the contrast is stopped, and oxygen is on."""
    return (
        Await("ReactionGraded"),
        Do("ReactionService.RecordStepDone", {"step_id": "STOP.1"}, by=RESPONDER),
        Do("ReactionService.RecordStepDone", lambda seen: seen.step("oxygen"), by=RESPONDER),
    )


def measured(systolic: int, diastolic: int, heart_rate: int, spo2: int, response: str) -> Mapping[str, Any]:
    """Vital signs on oxygen after a dose, with how the patient took it."""
    return {
        "systolic_mmhg": systolic,
        "diastolic_mmhg": diastolic,
        "heart_rate_bpm": heart_rate,
        "spo2_percent": spo2,
        "conscious": True,
        "oxygen_l_per_min": "8",
        "rhythm": "sinus tachycardia" if heart_rate > 100 else "sinus rhythm",
        "response": response,
    }


def watch_until_repeat_is_due(
    systolic: int, diastolic: int, heart_rate: int, spo2: int, response: str
) -> tuple[Step, ...]:
    """The repeat interval of the dose passes on the demo's clock; then the patient is measured."""
    vitals = measured(systolic, diastolic, heart_rate, spo2, response)
    return (Advance(REPEAT_S), Await("RepeatDue"), Do("ReactionService.RecordVitals", vitals))


def crew_arrived(seen: Any) -> Mapping[str, Any]:
    """The crew is at the patient; blood for tryptase was drawn, and a faint was thought of."""
    now = seen.now()
    told = {
        "ems_arrived_at": now,
        "tryptase_drawn": True,
        "tryptase_drawn_at": now,
        "differential": "vasovagal reaction: unlikely, fast pulse and hives",
        "family_told_at": now,
    }
    return {"follow_up": told}


def wrong_read_back() -> tuple[Step, ...]:
    """The responder hears ten times the dose; the engine stops it."""
    wrong: Callable[[Any], Mapping[str, Any]] = lambda seen: seen.read_back(times=10)  # noqa: E731
    refused = Do("ReactionService.ReadBackStep", wrong, refused="READ_BACK_MISMATCH", by=RESPONDER)
    return (Await("StepOrdered"), refused)


def dispose(disposition: str) -> tuple[Step, ...]:
    """The physician decides where the patient goes."""
    return (
        Await("ReactionResolved"),
        Do("ReactionService.DisposeReaction", {"disposition": f"DISPOSITION_{disposition.upper()}"}),
    )


def settle() -> tuple[Step, ...]:
    """The signs go away, and after the physician's decision the reaction is documented."""
    return (
        Do("ReactionService.ReportImproving"),
        Do("ReactionService.ReportResolved"),
        Await("ReactionDisposed"),
        Do("ReactionService.DocumentReaction", {"allergy_documented": True, "instructions_given": True}),
    )


TREATED = (
    "ReactionReported",
    "ReactionOpened",
    "SeveritySuggested",
    "ReactionGraded",
    "ProtocolResolved",
    "StepOrdered",
    "StepReadBack",
    "MedicationGiven",
    "ReactionResolved",
    "ReactionDisposed",
    "ReactionDocumented",
)
