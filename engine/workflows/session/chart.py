"""The session's chart: three regions side by side, and every guard that may refuse a wish.

A guard is named after the reason it refuses; its docstring is the sentence the technologist reads. Facts listen on
the whole session, so no phase refuses them; where a fact also moves a phase, the inner transition does it.
"""

from typing import Any

from statemachine import State, StateChart

from engine.kernel.machine import Facts
from engine.workflows.session import readiness
from engine.workflows.session.offline import opens
from engine.workflows.session.state import CredentialEvidence, ScreeningFinding, SessionState

RESPONDING = ["responder_not_qualified", "responder_is_technologist"]


class SessionChart(StateChart[None]):
    """Care, line and reaction of one supervised exam (DESIGN section 4)."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class session(State.Parallel):
        """Everything about one exam at once."""

        class care(State.Compound):
            """What is being done for the patient."""

            unscheduled = State(initial=True)
            scheduled = State()
            preparing = State()
            requested = State()
            identifying = State()
            reviewing = State()
            cleared = State()
            injecting = State()
            monitoring = State()
            closing = State()
            signed = State()
            sealed = State()
            deferred = State()
            declined = State()
            cancelled = State()

            schedule_session = unscheduled.to(
                scheduled, unless=["order_modality_unknown", "mode_unsupported", "birth_date_after_exam"]
            )
            amend_order = scheduled.to(None)
            amend_patient = (
                scheduled.to(None, unless=["birth_date_after_exam"])
                | preparing.to(None, unless=["birth_date_after_exam"])
                | requested.to(None, unless=["birth_date_after_exam"])
                | identifying.to(None, unless=["birth_date_after_exam"])
            )
            cancel_session = (
                scheduled.to(cancelled)
                | preparing.to(cancelled)
                | requested.to(cancelled)
                | identifying.to(cancelled)
                | reviewing.to(cancelled)
                | cleared.to(cancelled, unless=["contrast_was_given"])
                | deferred.to(cancelled, unless=["contrast_was_given"])
            )
            start_preparation = scheduled.to(preparing) | deferred.to(preparing)
            check_in_responder = (
                preparing.to(None, unless=RESPONDING)
                | requested.to(None, unless=RESPONDING)
                | identifying.to(None, unless=RESPONDING)
                | reviewing.to(None, unless=RESPONDING)
                | cleared.to(None, unless=RESPONDING)
                | injecting.to(None, unless=RESPONDING)
                | monitoring.to(None, unless=RESPONDING)
            )
            request_supervision = preparing.to(requested, unless=["screening_missing"]) | deferred.to(
                requested, unless=["screening_missing"]
            )
            assign_physician = requested.to(identifying, unless=["physician_unlicensed"]) | cleared.to(
                reviewing, cond=["another_physician"], unless=["physician_unlicensed"]
            )
            accept_hand_off = cleared.to(
                reviewing,
                cond=["another_physician"],
                unless=["not_offered_to_you", "physician_unlicensed", "physician_in_reaction"],
            )
            confirm_identity = identifying.to(
                reviewing,
                unless=["line_unverified", "identifiers_insufficient", "identity_mismatch"],
            )
            review_screening = reviewing.to(
                None,
                unless=[
                    "not_the_physician",
                    "screening_missing",
                    "findings_unseen",
                    "premedication_not_offered",
                ],
            )
            confirm_view = (
                identifying.to(None, unless=["not_the_physician", "line_unverified"])
                | reviewing.to(None, unless=["not_the_physician", "line_unverified"])
                | cleared.to(None, unless=["not_the_physician", "line_unverified"])
            )
            clear_for_contrast = reviewing.to(
                cleared,
                unless=[
                    "not_the_physician",
                    "line_unverified",
                    "screening_unreviewed",
                    "view_unconfirmed",
                    "reaction_open",
                    "hold_unexplained",
                ],
            )
            defer_contrast = (
                identifying.to(deferred, unless=["not_the_physician"])
                | reviewing.to(deferred, unless=["not_the_physician"])
                | cleared.to(deferred, unless=["not_the_physician"])
            )
            decline_contrast = (
                identifying.to(declined, unless=["not_the_physician"])
                | reviewing.to(declined, unless=["not_the_physician"])
                | cleared.to(declined, unless=["not_the_physician"])
            )
            attest_verdict = reviewing.to(
                None, unless=["verdict_not_attestable", "already_attested"]
            ) | cleared.to(None, unless=["verdict_not_attestable", "already_attested"])
            grant_ready = cleared.to(
                None,
                unless=[
                    "contrast_not_cleared",
                    "line_unverified",
                    "identity_unconfirmed",
                    "screening_unreviewed",
                    "physician_absent",
                    "physician_unlicensed",
                    "responder_absent",
                    "responder_not_qualified",
                    "view_unconfirmed",
                    "kit_not_ready",
                    "verdict_denies",
                    "verdict_unattested",
                    "reaction_open",
                ],
            )
            start_injection = cleared.to(
                injecting,
                unless=[
                    "ready_absent",
                    "ready_mismatch",
                    "ready_expired",
                    "physician_unlicensed",
                    "responder_not_qualified",
                    "verdict_denies",
                    "verdict_unattested",
                ],
            )
            complete_injection = injecting.to(monitoring, unless=["contrast_unrecorded"])
            complete_monitoring = monitoring.to(closing, unless=["observation_running", "reaction_open"])
            confirm_record = closing.to(
                None, unless=["not_the_technologist", "record_changed", "record_incomplete"]
            )
            attest_record = closing.to(
                signed,
                unless=[
                    "not_the_physician",
                    "record_unconfirmed",
                    "record_changed",
                    "record_incomplete",
                    "reaction_open",
                ],
            )
            seal_record = signed.to(sealed, unless=["record_incomplete"])
            record_contrast_given = (
                scheduled.to(injecting)
                | preparing.to(injecting)
                | requested.to(injecting)
                | identifying.to(injecting)
                | reviewing.to(injecting)
                | cleared.to(injecting)
                | deferred.to(injecting)
                | declined.to(injecting)
                | cancelled.to(injecting)
                | signed.to(closing)
                | sealed.to(closing)
            )
            record_screening = cleared.to(reviewing) | signed.to(closing) | sealed.to(closing)
            record_allergies = cleared.to(reviewing) | signed.to(closing) | sealed.to(closing)
            record_weight = signed.to(closing) | sealed.to(closing)
            record_vitals = signed.to(closing) | sealed.to(closing)
            record_gap_action = signed.to(closing) | sealed.to(closing)
            report_reaction = signed.to(closing) | sealed.to(closing)
            report_late_entry = signed.to(closing) | sealed.to(closing)
            report_offline_log = signed.to(closing) | sealed.to(closing)

        class line(State.Compound):
            """The two-way audio and video, as the media node proves it."""

            absent = State(initial=True)
            connecting = State()
            verified = State()
            degraded = State()
            lost = State()
            on_phone = State()

            report_line_connecting = absent.to(connecting) | lost.to(connecting) | on_phone.to(connecting)
            report_line_verified = (
                absent.to(verified)
                | connecting.to(verified)
                | degraded.to(verified)
                | lost.to(verified)
                | on_phone.to(verified)
            )
            report_line_degraded = (
                verified.to(degraded) | connecting.to(degraded) | lost.to(degraded) | on_phone.to(degraded)
            )
            report_line_lost = (
                absent.to(lost)
                | connecting.to(lost)
                | verified.to(lost)
                | degraded.to(lost)
                | on_phone.to(lost)
            )
            report_on_phone = (
                absent.to(on_phone)
                | connecting.to(on_phone)
                | verified.to(on_phone)
                | degraded.to(on_phone)
                | lost.to(on_phone)
            )
            report_line_closed = (
                connecting.to(absent)
                | verified.to(absent)
                | degraded.to(absent)
                | lost.to(absent)
                | on_phone.to(absent)
            )

        class reaction(State.Compound):
            """Whether the patient is reacting."""

            none = State(initial=True)
            active = State()
            resolved = State()

            report_reaction = none.to(active) | resolved.to(active)
            report_offline_log = none.to(active, cond=["opens_reaction"]) | resolved.to(
                active, cond=["opens_reaction"]
            )
            report_reaction_closed = active.to(resolved, unless=[], cond=["last_open_reaction"])

    record_screening = session.to(None)
    record_allergies = session.to(None)
    record_weight = session.to(None)
    record_vitals = session.to(None)
    record_kit_checked = session.to(None)
    report_kit_used = session.to(None)
    report_responder_left = session.to(None)
    report_physician_away = session.to(None)
    record_contrast_given = session.to(None)
    record_gap_action = session.to(None)
    report_reaction = session.to(None)
    report_reaction_closed = session.to(None)
    report_alarm_unheard = session.to(None)
    report_late_entry = session.to(None)
    report_offline_log = session.to(None)
    report_line_connecting = session.to(None)
    report_line_verified = session.to(None)
    report_line_degraded = session.to(None)
    report_line_lost = session.to(None)
    report_on_phone = session.to(None)
    report_line_closed = session.to(None)
    timer_fired = session.to(None)
    assign_physician = session.to(
        None, unless=["supervision_not_requested", "session_over", "physician_unlicensed"]
    )
    evaluate_rules = session.to(None, unless=["session_over"])
    offer_hand_off = session.to(
        None, unless=["session_over", "not_the_physician", "hand_off_to_yourself", "physician_unlicensed"]
    )
    accept_hand_off = session.to(
        None,
        unless=["session_over", "not_offered_to_you", "physician_unlicensed", "physician_in_reaction"],
    )


def order_modality_unknown(f: Facts) -> bool:
    """The order names no modality; correct the procedure code map and replay the message."""
    return not f.command.order.modality


def birth_date_after_exam(f: Facts) -> bool:
    """The birth date is after the exam; correct it at its source."""
    planned = getattr(f.command, "planned_at", None) or f.state.planned_at or f.context.now
    return bool(f.command.identity.birth_date > planned.date())


def mode_unsupported(f: Facts) -> bool:
    """This release supervises each injection on a live session (mode C); choose mode C for the site."""
    return bool(f.command.mode != "C")


def contrast_was_given(f: Facts) -> bool:
    """Contrast is in the patient; finish monitoring instead of ending the session."""
    return bool(f.state.contrast)


def screening_missing(f: Facts) -> bool:
    """No screening answers are recorded; record them first, unknown is an answer."""
    return f.state.screening is None


def responder_not_qualified(f: Facts) -> bool:
    """The responder's licence or competency is missing or expired; ask another responder to check in."""
    return not readiness.credentialed(_evidence(f.command, "responder"), f.context.now)


def responder_is_technologist(f: Facts) -> bool:
    """The responder must be somebody besides the technologist."""
    return bool(f.command.responder_id == f.state.technologist_id)


def responder_absent(f: Facts) -> bool:
    """No on-site responder has checked in; ask the responder to check in."""
    return not readiness.holds("responder_present", f.state, f.context.now)


def physician_unlicensed(f: Facts) -> bool:
    """The physician holds no valid licence for this site's state; another physician must answer."""
    return not readiness.credentialed(_evidence(f.command, "physician"), f.context.now)


def physician_absent(f: Facts) -> bool:
    """No physician is on this session now; request supervision."""
    return not readiness.holds("physician_present", f.state, f.context.now)


def supervision_not_requested(f: Facts) -> bool:
    """Nobody asked for a physician on this session."""
    return bool(f.state.requests == 0)


def session_over(f: Facts) -> bool:
    """The session is over and no reaction is open; nobody needs to take it."""
    return f.state.in_phase("cancelled", "declined", "signed", "sealed") and not f.state.open_reactions


def physician_in_reaction(f: Facts) -> bool:
    """The physician is treating a reaction elsewhere; another physician must take the session."""
    return bool(f.command.in_reaction_elsewhere)


def not_the_physician(f: Facts) -> bool:
    """Only the physician who supervises this session may do this."""
    return f.state.physician is None or f.context.actor.person_id != f.state.physician.person_id


def not_the_technologist(f: Facts) -> bool:
    """Only the technologist of this session may do this."""
    return not f.state.technologist_id or f.context.actor.person_id != f.state.technologist_id


def hand_off_to_yourself(f: Facts) -> bool:
    """A hand-off goes to another physician; name who is to take over."""
    return bool(f.command.to_physician_id == f.context.actor.person_id)


def not_offered_to_you(f: Facts) -> bool:
    """This session was not offered to you."""
    return not f.state.hand_off_to or f.context.actor.person_id != f.state.hand_off_to


def identifiers_insufficient(f: Facts) -> bool:
    """Give at least two identifiers: name, birth date, record number."""
    return len(given_identifiers(f.command)) < 2


def identity_mismatch(f: Facts) -> bool:
    """An identifier does not match the order; stop and find out who the patient is."""
    identity = f.state.identity
    return identity is None or any(
        folded(str(getattr(identity, field))) != folded(str(value))
        for kind in given_identifiers(f.command).values()
        for field, value in kind.items()
    )


def identity_unconfirmed(f: Facts) -> bool:
    """The patient's identity is not confirmed; read two identifiers with the physician."""
    return not readiness.holds("identity_confirmed", f.state, f.context.now)


def line_unverified(f: Facts) -> bool:
    """Two-way audio and video is not proven; wait for the line or rejoin."""
    return not readiness.holds("line_verified", f.state, f.context.now)


def screening_unreviewed(f: Facts) -> bool:
    """The physician has not reviewed the screening."""
    return not readiness.holds("screening_reviewed", f.state, f.context.now)


def findings_unseen(f: Facts) -> bool:
    """The screening has findings that were not on your screen; read them again."""
    evidence = f.command.evidence or f.state.screened
    seen = set(f.command.seen)
    return bool(seen and evidence and {finding.row_id for finding in evidence.findings} - seen)


def premedication_not_offered(f: Facts) -> bool:
    """The protocols offer no such premedication for this patient; read the screening again."""
    chosen = f.command
    evidence = chosen.evidence or f.state.screened
    offered = {one.row_id for one in evidence.premedication} if evidence else set()
    if chosen.premedication_row_id:
        return chosen.premedication_row_id not in offered
    return bool(chosen.premedication_reason.strip()) and not offered


def hold_unexplained(f: Facts) -> bool:
    """The screening says hold or another study; give the reason for going on, or defer."""
    return bool(against(f.state, f.command)) and not f.command.reason.strip()


def against(state: SessionState, command: Any) -> tuple[ScreeningFinding, ...]:
    """Return the findings that speak against clearing, for the agent of the command."""
    evidence = command.evidence or state.screened
    return tuple(finding for finding in evidence.findings if finding.needs_reason) if evidence else ()


def view_unconfirmed(f: Facts) -> bool:
    """The physician has not confirmed the view of patient and injection site."""
    return not readiness.holds("view_confirmed", f.state, f.context.now)


def reaction_open(f: Facts) -> bool:
    """A reaction is open; finish it first."""
    return bool(f.state.open_reactions)


def contrast_not_cleared(f: Facts) -> bool:
    """The physician has not cleared the injection."""
    return not f.state.cleared


def kit_not_ready(f: Facts) -> bool:
    """The emergency kit is unchecked, used, expired, or lacks epinephrine, oxygen or AED check; check the kit."""
    return not readiness.holds("kit_in_date", f.state, f.context.now)


def verdict_denies(f: Facts) -> bool:
    """The rules do not allow this session; see the layers of the verdict."""
    verdict = f.command.verdict
    return verdict is None or verdict.result not in {"allow", "needs_attestation"}


def verdict_unattested(f: Facts) -> bool:
    """The rules need two people's attestation before injecting."""
    verdict = f.command.verdict
    return verdict is None or (
        verdict.result == "needs_attestation" and not readiness.attested_by_two(f.state)
    )


def verdict_not_attestable(f: Facts) -> bool:
    """There is no verdict that attestation could lift; a deny is never lifted."""
    return f.state.verdict is None or f.state.verdict.result != "needs_attestation"


def already_attested(f: Facts) -> bool:
    """You have attested already; a second person is needed."""
    return any(f.context.actor.person_id == a.person_id for a in f.state.attestations)


def ready_absent(f: Facts) -> bool:
    """READY is not lit; see which facts are missing."""
    return f.state.ready is None


def ready_mismatch(f: Facts) -> bool:
    """This READY token is not the present one; use the one on the screen."""
    return f.state.ready is not None and f.command.ready_token != f.state.ready.token


def ready_expired(f: Facts) -> bool:
    """READY has expired; ask for it again."""
    ready = f.state.ready
    return ready is not None and (
        f.context.now >= ready.expires_at or bool(readiness.missing(f.state, f.context.now))
    )


def contrast_unrecorded(f: Facts) -> bool:
    """No contrast is recorded for this injection; record agent, dose and route first."""
    return not f.state.contrast


def observation_running(f: Facts) -> bool:
    """The observation time is not over."""
    return not f.state.observation_over


def record_changed(f: Facts) -> bool:
    """The record has changed since you read it; read it again and sign that."""
    return bool(f.command.seen_hash != f.command.record_hash)


def record_unconfirmed(f: Facts) -> bool:
    """The technologist has not confirmed this version of the record."""
    confirmed = f.state.confirmed
    return confirmed is None or confirmed.record_hash != f.command.record_hash


def record_incomplete(f: Facts) -> bool:
    """The record lacks required items; see the worklist for what and who."""
    return bool(f.command.missing)


def opens_reaction(f: Facts) -> bool:
    """Route: the console's log begins a reaction that was not known."""
    return opens(f.state, f.command)


def another_physician(f: Facts) -> bool:
    """Route: a physician takes over who has reviewed and cleared nothing here yet."""
    evidence = _evidence(f.command, "physician")
    before = f.state.physician
    return evidence is None or before is None or evidence.person_id != before.person_id


def last_open_reaction(f: Facts) -> bool:
    """Route: the reaction being closed is the only one open."""
    return set(f.state.open_reactions) <= {f.command.reaction_id}


def _evidence(command: object, who: str) -> CredentialEvidence | None:
    found = getattr(command, "evidence", None) or getattr(command, who, None)
    return found if isinstance(found, CredentialEvidence) else None


def given_identifiers(command: object) -> dict[str, dict[str, object]]:
    """Return the identifiers a ConfirmIdentity gives, by kind: name (both parts), birth_date, mrn."""
    family, given = getattr(command, "family", ""), getattr(command, "given", "")
    kinds: dict[str, dict[str, object]] = {}
    if family and given:
        kinds["name"] = {"family": family, "given": given}
    if birth_date := getattr(command, "birth_date", None):
        kinds["birth_date"] = {"birth_date": birth_date}
    if mrn := getattr(command, "mrn", ""):
        kinds["mrn"] = {"mrn": mrn}
    return kinds


def folded(text: str) -> str:
    """Return a text as it is compared: blanks and capitals do not count."""
    return " ".join(text.split()).casefold()


GUARDS = {
    guard.__name__: guard
    for guard in (
        order_modality_unknown,
        mode_unsupported,
        birth_date_after_exam,
        contrast_was_given,
        screening_missing,
        responder_not_qualified,
        responder_is_technologist,
        responder_absent,
        physician_unlicensed,
        physician_absent,
        supervision_not_requested,
        session_over,
        physician_in_reaction,
        not_the_physician,
        not_the_technologist,
        hand_off_to_yourself,
        not_offered_to_you,
        identifiers_insufficient,
        identity_mismatch,
        identity_unconfirmed,
        line_unverified,
        screening_unreviewed,
        findings_unseen,
        premedication_not_offered,
        hold_unexplained,
        view_unconfirmed,
        reaction_open,
        contrast_not_cleared,
        kit_not_ready,
        verdict_denies,
        verdict_unattested,
        verdict_not_attestable,
        already_attested,
        ready_absent,
        ready_mismatch,
        ready_expired,
        contrast_unrecorded,
        observation_running,
        record_changed,
        record_unconfirmed,
        record_incomplete,
        opens_reaction,
        another_physician,
        last_open_reaction,
    )
}
