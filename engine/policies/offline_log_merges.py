"""What a console wrote down without the network reaches its reaction as facts of their own time."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions import commands as c
from engine.reactions.state import Offline
from engine.workflows.session.events import OfflineLogReported
from engine.workflows.session.offline_log import OfflineEntry, OfflineKind


@on(OfflineLogReported)
def offline_log_merges(recorded: Recorded, view: View) -> Iterator[Request]:
    """What a console wrote down without the network reaches its reaction as facts of their own time."""
    event = recorded.event
    if isinstance(event, OfflineLogReported):
        until = event.signed_in_until
        facts = tuple(
            _fact(entry, signed_in=until is not None and entry.at < until) for entry in event.entries
        )
        yield ask("offline_log_merges", "reaction", event.reaction_id, c.ReportOfflineEntries(facts=facts))


def _fact(entry: OfflineEntry, *, signed_in: bool) -> c.OfflineFact:
    offline = Offline(entry_id=entry.entry_id, at=entry.at, by=entry.by, signed_in=signed_in)
    if entry.kind is OfflineKind.VITALS:
        return c.RecordVitals(
            systolic_mmhg=entry.systolic_mmhg,
            diastolic_mmhg=entry.diastolic_mmhg,
            heart_rate_bpm=entry.heart_rate_bpm,
            spo2_percent=entry.spo2_percent,
            respiratory_rate_bpm=entry.respiratory_rate_bpm,
            conscious=entry.conscious,
            oxygen_l_per_min=entry.oxygen_l_per_min,
            rhythm=entry.rhythm,
            glucose_mg_per_dl=entry.glucose_mg_per_dl,
            response=entry.response,
            offline=offline,
        )
    if entry.kind is OfflineKind.MEDICATION:
        # Without the network nobody was on the line.
        return c.RecordMedicationGiven(
            step_id=entry.step_id,
            drug=entry.drug,
            route=entry.route,
            dose_mg=entry.dose_mg,
            concentration_mg_per_ml=entry.concentration_mg_per_ml,
            volume_ml=entry.volume_ml,
            site=entry.site,
            lot=entry.lot,
            given_at=entry.at,
            given_by=entry.by,
            physician_connected=False,
            offline=offline,
        )
    if entry.kind is OfflineKind.READ_BACK:
        return c.ReadBack(
            step_id=entry.step_id,
            dose_mg=entry.dose_mg,
            concentration_mg_per_ml=entry.concentration_mg_per_ml,
            volume_ml=entry.volume_ml,
            route=entry.route,
            offline=offline,
        )
    return _short(entry, offline)


def _short(entry: OfflineEntry, offline: Offline) -> c.OfflineFact:
    """Return the fact of an entry that says little more than its kind."""
    if entry.kind is OfflineKind.WEIGHT and entry.weight_kg is not None:
        return c.RecordPatientWeight(weight_kg=entry.weight_kg, method=entry.weight_method, offline=offline)
    if entry.kind is OfflineKind.EMERGENCY_CALL:
        return c.RecordEmergencyCalled(service=entry.service, called_at=entry.at, offline=offline)
    if entry.kind is OfflineKind.SIGNS:
        return c.RecordSigns(signs=entry.signs, offline=offline)
    if entry.kind is OfflineKind.STEP_DONE:
        return c.RecordStepDone(step_id=entry.step_id, offline=offline)
    if entry.kind is OfflineKind.IMPROVING:
        return c.ReportImproving(offline=offline)
    if entry.kind is OfflineKind.RESOLVED:
        return c.ReportResolved(offline=offline)
    return (
        c.Onset(offline=offline)
        if entry.kind is OfflineKind.ONSET
        else c.Note(text=entry.text, offline=offline)
    )
