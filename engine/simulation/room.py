"""One session as its people live it: at every look they do the next thing their screen allows, or something odd.

Rule: people look at the session and act; they hold nothing the engine should know, so a crash changes nothing for them.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from engine.kernel.commands import Actor, Command
from engine.kernel.ids import Stream
from engine.reactions.commands import RecordFollowUp
from engine.reactions.state import FollowUp
from engine.runtime.executor import Outcome
from engine.simulation.clinic import Clinic, Place, physician, technologist
from engine.simulation.reaction import Treatment
from engine.simulation.world import World
from engine.workflows.session import commands as c
from engine.workflows.session.state import (
    PRESENCE_OWED,
    Allergy,
    CancelReason,
    LineEvidence,
    Order,
    PatientIdentity,
    Screening,
    SessionState,
)

MEDIA = Actor.system("media")
PATIENCE = dt.timedelta(minutes=45)
LONGEST = dt.timedelta(hours=5)
PROOF = LineEvidence(
    technologist_audio_packets=100,
    technologist_video_frames=50,
    physician_audio_packets=100,
    physician_video_frames=50,
    window_s=Decimal(2),
)
IDENTITY = PatientIdentity(
    mrn="SYN1", authority="SYN", family="SYNTHETIC", given="PATIENT", birth_date=dt.date(1971, 4, 12), sex="F"
)


class Room:
    """Drives one session to its end."""

    def __init__(self, world: World, clinic: Clinic, place: Place, number: int) -> None:
        self._world = world
        self._clinic = clinic
        self._place = place
        self.session_id = f"ses-{number}"
        self._rng = world.stream(self.session_id)
        self._stream = Stream("session", self.session_id)
        self._technologist = technologist(place)
        self._waiting = False
        self._born = world.now
        self._plan()
        self._treatment = Treatment(world, self)
        self.over = False

    def _plan(self) -> None:
        """Draw what will be odd about this session."""
        rng = self._rng
        self._no_show = rng.random() < 0.04
        self._defers = rng.random() < 0.05
        self._declines = rng.random() < 0.03
        self._hands_off = rng.random() < 0.08
        self._remembers = rng.random() < 0.05
        self._dawdles = rng.random() < 0.05
        self._bypasses = rng.random() < 0.02
        self._reacts_at = self._world.now + dt.timedelta(minutes=rng.uniform(1, 55))
        self._reacts = rng.random() < 0.25
        self._late = rng.random() < 0.08
        self._line_losses = rng.choice((0, 0, 0, 1, 1, 2))

    async def look(self) -> None:
        """Look at the session, do one thing, and look again later."""
        if self._waiting:
            self._world.after(3, self.look)
            return
        s: SessionState = await self._world.state(self._stream)
        pause = await self._next(s)
        tired = self._world.now - self._born > LONGEST
        self.over = tired or pause is None
        if pause is not None and not tired:
            self._world.after(pause, self.look)

    async def say(self, command: Command, actor: Actor | None = None, stream: Stream | None = None) -> None:
        """Send one command and wait for its answer before doing anything else."""
        self._waiting = True

        def answered(outcome: Outcome | None) -> None:
            self._waiting = False

        who = actor or self._technologist
        await self._world.send(
            stream or self._stream, command, who, session_id=self.session_id, answered=answered
        )

    async def _next(self, s: SessionState) -> float | None:
        """Do the next thing; return in how many seconds to look again, None when all is over."""
        if s.version == 0:
            await self._schedule()
            return 30
        if self._reacts and self._world.now >= self._reacts_at:
            self._reacts = False
            await self.say(c.ReportReaction())
            return 4
        if s.reactions and await self._treatment.step(s):
            return self._rng.uniform(5, 25)
        if await self._line(s):
            return 3
        phase = next(phase for phase in _STEPS if s.in_phase(phase))
        pause: float | None = await _STEPS[phase](self, s)
        return pause

    async def _schedule(self) -> None:
        order = Order(
            accession_number=f"ACC{self.session_id}",
            procedure_code="CTABDWC",
            procedure_system="SYN",
            modality="CT",
            contrast_class="iodinated",
        )
        await self.say(
            c.ScheduleSession(
                organization_id=self._place.organization_id,
                site_id=self._place.site_id,
                room_id=self._place.room_id,
                planned_at=self._world.now + dt.timedelta(minutes=5),
                order=order,
                identity=IDENTITY,
                demo=True,
            )
        )

    async def _line(self, s: SessionState) -> bool:
        """Lose the line, bring it back, and say what was done about a gap; return whether something was done."""
        owed = s.in_phase(*PRESENCE_OWED)
        if s.in_phase("verified") and s.in_phase(
            "identifying", "reviewing", "cleared", "injecting", "monitoring"
        ):
            if self._line_losses and self._rng.random() < 0.08:
                self._line_losses -= 1
                self._world.faults["line_loss"] += 1
                lost = self._rng.choice(
                    (
                        c.ReportLineLost(cause="video_stopped"),
                        c.ReportOnPhone(cause="network"),
                        c.ReportLineClosed(),
                    )
                )
                await self.say(lost, MEDIA)
                return True
            return False
        if (owed or s.open_reactions) and s.physician_present and not s.in_phase("verified"):
            if self._rng.random() < 0.3:
                restored: Command = (
                    c.ReportLineVerified(evidence=PROOF)
                    if s.in_phase("connecting", "degraded")
                    else c.ReportLineConnecting()
                )
                await self.say(restored, MEDIA)
            return True
        return False

    async def _scheduled(self, s: SessionState) -> float | None:
        if self._no_show:
            self._world.faults["no_show"] += 1
            await self.say(c.CancelSession(reason=CancelReason.PATIENT_NO_SHOW))
            return 60
        await self.say(c.StartPreparation())
        return 20

    async def _preparing(self, s: SessionState) -> float | None:
        rng = self._rng
        if s.screening is None:
            usual = ("no", "no", "no", "yes", "unknown")
            screening = Screening(
                prior_reaction="none",
                asthma=rng.choice(usual),
                renal_risk=rng.choice(usual),
                metformin=rng.choice(usual),
                beta_blocker=rng.choice(usual),
            )
            await self.say(c.RecordScreening(screening=screening))
        elif s.weight_kg is None and rng.random() < 0.8:
            weight = Decimal(rng.randrange(90, 1100)) / 10
            await self.say(c.RecordWeight(weight_kg=weight, method=rng.choice(("scale", "stated"))))
        elif s.kit is None:
            await self.say(
                c.RecordKitChecked(
                    kit_id="kit-1",
                    expires_on=dt.date(2099, 6, 30),
                    epinephrine_present=True,
                    oxygen_and_aed_checked=rng.random() < 0.98,
                )
            )
        elif not s.responder_present:
            await self.say(c.CheckInResponder(responder_id=self._place.responder_id))
        else:
            await self.say(c.RequestSupervision())
        return rng.uniform(10, 60)

    async def _requested(self, s: SessionState) -> float | None:
        if self._world.now - self._born > PATIENCE:
            await self.say(c.CancelSession(reason=CancelReason.NO_PHYSICIAN))
        return 15

    async def _identifying(self, s: SessionState) -> float | None:
        if not s.physician_present:
            return 10
        if self._rng.random() < 0.1:
            await self.say(c.ConfirmIdentity(family="WRONG", given="PATIENT", mrn="SYN1"))
        else:
            await self.say(
                c.ConfirmIdentity(family="SYNTHETIC", given="PATIENT", birth_date=IDENTITY.birth_date)
            )
        return 5

    async def _reviewing(self, s: SessionState) -> float | None:
        if self._too_long():
            await self.say(c.CancelSession(reason=CancelReason.OTHER))
            return 30
        if not s.physician_present:
            return 10
        if await self._odd(s):
            return 20
        if not s.screening_reviewed:
            await self.say(c.ReviewScreening(), self._physician(s))
        elif not s.view_confirmed:
            seen = c.ConfirmView(patient_visible=True, injection_site_visible=self._rng.random() < 0.9)
            await self.say(seen, self._physician(s))
        else:
            await self.say(c.ClearForContrast(agent="iohexol"), self._physician(s))
        return self._rng.uniform(5, 30)

    async def _odd(self, s: SessionState) -> bool:
        """Do one of the things that do not happen in most sessions."""
        who = self._physician(s)
        if self._defers:
            self._defers = False
            await self.say(c.DeferContrast(reason="asks for another scanner"), who)
        elif self._declines:
            self._declines = False
            await self.say(c.DeclineContrast(reason="risk too high"), who)
        elif self._bypasses:
            self._bypasses = False
            await self._give()
        elif self._hands_off and s.hand_off_to:
            self._hands_off = False
            await self.say(c.AcceptHandOff(), physician(self._place.organization_id, s.hand_off_to))
        elif self._hands_off:
            self._hands_off = self._rng.random() < 0.8
            other = self._rng.choice([one for one in self._clinic.physicians if one != who.person_id])
            await self.say(c.OfferHandOff(to_physician_id=other), who)
        else:
            return False
        return True

    async def _cleared(self, s: SessionState) -> float | None:
        if self._too_long() or (
            s.verdict is not None and s.verdict.result == "deny" and self._rng.random() < 0.5
        ):
            await self.say(c.CancelSession(reason=CancelReason.OTHER))
            return 30
        if not s.physician_present:
            return 10
        if self._remembers:
            self._remembers = False
            remembered = (*s.allergies, Allergy(substance="latex"))
            await self.say(c.RecordAllergies(allergies=remembered, source="patient"))
            return 5
        if s.ready is None:
            await self._toward_ready(s)
            return self._rng.uniform(3, 20)
        if self._hands_off and await self._odd(s):
            return 20
        if self._dawdles:
            self._dawdles = False
            return 130
        await self.say(c.StartInjection(ready_token=s.ready.token))
        return 10

    async def _toward_ready(self, s: SessionState) -> None:
        needed = s.verdict is not None and s.verdict.result == "needs_attestation"
        signed = {attestation.person_id for attestation in s.attestations}
        if not s.kit or s.kit.used or not s.kit.oxygen_and_aed_checked:
            kit = c.RecordKitChecked(
                kit_id="kit-2",
                expires_on=dt.date(2099, 6, 30),
                epinephrine_present=True,
                oxygen_and_aed_checked=True,
            )
            await self.say(kit)
        elif not s.view_confirmed:
            await self.say(
                c.ConfirmView(patient_visible=True, injection_site_visible=True), self._physician(s)
            )
        elif needed and self._technologist.person_id not in signed:
            await self.say(c.AttestVerdict(reason="the facility's counsel has agreed"))
        elif needed and len(signed) < 2:
            await self.say(c.AttestVerdict(reason="reviewed, proceed"), self._physician(s))
        else:
            await self.say(c.GrantReady())

    async def _give(self) -> None:
        await self.say(
            c.RecordContrastGiven(
                agent="iohexol",
                contrast_class="iodinated",
                concentration="350 mgI/mL",
                volume_ml=Decimal(80),
                route="IV",
                lot="SYN-1",
                given_at=self._world.now,
            )
        )

    async def _injecting(self, s: SessionState) -> float | None:
        if not s.contrast:
            await self._give()
        else:
            await self.say(c.CompleteInjection())
        return self._rng.uniform(20, 60)

    async def _monitoring(self, s: SessionState) -> float | None:
        if s.observation_over and not s.open_reactions:
            await self.say(c.CompleteMonitoring())
            return 30
        if self._rng.random() < 0.3:
            await self.say(c.RecordVitals(systolic_mmhg=self._rng.randrange(95, 150), heart_rate_bpm=80))
        return 20 if s.observation_over or s.open_reactions else self._rng.uniform(60, 200)

    async def _closing(self, s: SessionState) -> float | None:
        if s.open_reactions:
            return 15
        draft = await self._world.life.reader.draft(self.session_id)
        if s.confirmed is None or s.confirmed.record_hash != draft.hash:
            await self.say(c.ConfirmRecord(seen_hash=draft.hash))
        else:
            await self.say(c.AttestRecord(seen_hash=draft.hash), self._physician(s))
        return 45 if self._world.now - self._born < 2 * PATIENCE else 600

    async def _deferred(self, s: SessionState) -> float | None:
        if self._rng.random() < 0.5:
            await self.say(c.CancelSession(reason=CancelReason.PATIENT_DECLINED))
        else:
            await self.say(c.StartPreparation())
        return 30

    async def _ended(self, s: SessionState) -> float | None:
        if s.open_reactions:
            return 15
        if self._late:
            self._late = False
            if s.reactions and self._rng.random() < 0.5:
                told = FollowUp(tryptase_drawn=True, ems_arrived_at=self._world.now)
                await self.say(RecordFollowUp(follow_up=told), None, Stream("reaction", s.reactions[-1]))
                return 5
            odd: Command = (
                c.ReportReaction() if self._rng.random() < 0.4 else c.RecordVitals(heart_rate_bpm=90)
            )
            await self.say(odd)
            return 5
        if self._reacts:
            return 60
        return None

    async def _signed(self, s: SessionState) -> float | None:
        return 15

    async def _unscheduled(self, s: SessionState) -> float | None:
        return 30

    def _too_long(self) -> bool:
        return self._world.now - self._born > 2 * PATIENCE

    def _physician(self, s: SessionState) -> Actor:
        person = s.physician.person_id if s.physician else ""
        return physician(self._place.organization_id, person)

    def supervisor(self, s: SessionState) -> Actor | None:
        """Return the physician who is on the session, if one is."""
        return self._physician(s) if s.physician is not None and s.physician_present else None

    @property
    def rng(self) -> Any:
        """The session's stream of draws."""
        return self._rng


_STEPS = {
    "scheduled": Room._scheduled,
    "preparing": Room._preparing,
    "requested": Room._requested,
    "identifying": Room._identifying,
    "reviewing": Room._reviewing,
    "cleared": Room._cleared,
    "injecting": Room._injecting,
    "monitoring": Room._monitoring,
    "closing": Room._closing,
    "deferred": Room._deferred,
    "signed": Room._signed,
    "sealed": Room._ended,
    "cancelled": Room._ended,
    "declined": Room._ended,
    "unscheduled": Room._unscheduled,
}
