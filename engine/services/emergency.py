"""Emergency packs: looks up the patient's situation and the site, has the path resolved, seals the answer.

Rule: it is there in every phase, before a reaction, during one and after; nothing of who the patient is goes in.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

from engine.kernel.clock import Clock
from engine.kernel.ids import Stream
from engine.reactions.decide import Objectives
from engine.reactions.emergency import Patient, Place, emergency_pack
from engine.reactions.overlay import SiteOverlay, plan_for
from engine.reactions.pack import Pack
from engine.reactions.protocol import MRI, ZONE_IV
from engine.reactions.state import ReactionState
from engine.records.emergency import SealedPack, seal_pack
from engine.records.seal import SealingKey
from engine.runtime.executor import Executor
from engine.workflows.directory.state import DirectoryState
from engine.workflows.session.state import SessionState

REACTIONS_SHOWN = 4


class EmergencyPacks:
    """Makes emergency packs. `overlays` are the sites' own plans by site; a pack serves for `life_s` seconds."""

    def __init__(
        self,
        executor: Executor,
        clock: Clock,
        key: SealingKey,
        objectives: Objectives,
        overlays: Mapping[str, SiteOverlay],
        *,
        life_s: int,
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._key = key
        self._objectives = objectives
        self._overlays = overlays
        self._life = dt.timedelta(seconds=life_s)

    async def make(self, session_id: str) -> SealedPack:
        """Return the emergency pack of a session that exists, as everything stands now."""
        session: SessionState = await self._executor.state(Stream("session", session_id))
        directory: DirectoryState = await self._executor.state(Stream("directory", session.organization_id))
        reactions: list[ReactionState] = [
            await self._executor.state(Stream("reaction", name)) for name in session.reactions
        ]
        reactions = [one for one in reactions if one.version]
        # A reaction keeps the version of the pack that it started with.
        new = self._objectives.pack_for(drill=session.drill)
        pack = self._objectives.pack_of(reactions[-1]) if reactions else new
        signed_by = reactions[-1].pack_signed_by if reactions else self._objectives.signer_of(new)
        site = directory.sites.get(session.site_id)
        place = (
            Place(ems_phone=site.ems_phone, ems_address=site.ems_address or site.address) if site else Place()
        )
        return await asyncio.to_thread(
            self._sealed, pack, signed_by, session, reactions, place, self._clock.now()
        )

    def _sealed(
        self,
        pack: Pack,
        signed_by: str,
        session: SessionState,
        reactions: list[ReactionState],
        place: Place,
        now: dt.datetime,
    ) -> SealedPack:
        mine = plan_for(self._overlays, session.site_id, pack.pack_id)
        content = {
            **emergency_pack(pack, _patient(session, reactions), place, mine),
            "session_id": session.session_id,
            "demo": session.demo,
            "drill": session.drill,
            "pack_signed_by": signed_by,
            "reactions": [_known(one) for one in reactions[-REACTIONS_SHOWN:]],
        }
        return seal_pack(
            content,
            self._key,
            session_version=session.version,
            made_at=now,
            expires_at=now + self._life,
        )


def _patient(session: SessionState, reactions: list[ReactionState]) -> Patient:
    """Return what the doses rest on: the session's, and the weight that a reaction has learned since."""
    weighed: SessionState | ReactionState = next(
        (one for one in reversed(reactions) if one.weight_kg is not None), session
    )
    given = sorted((dose for one in reactions for dose in one.given), key=lambda dose: dose.given_at)
    modality = session.order.modality if session.order else ""
    return Patient(
        age_years=session.age_years,
        age_days=session.age_days,
        weight_kg=weighed.weight_kg,
        weight_doubt=weighed.weight_doubt,
        setting=session.setting,
        modality=modality,
        mri_zone=ZONE_IV if modality in MRI else "",
        agent=session.contrast[-1].agent if session.contrast else session.cleared_agent,
        given=tuple(given),
    )


def _known(reaction: ReactionState) -> dict[str, Any]:
    """Return how far a reaction is, so that a console that starts anew goes on where it was."""
    return {
        "reaction_id": reaction.reaction_id,
        "version": reaction.version,
        "phases": reaction.phases,
        "onset_at": reaction.onset_at,
        "signs": reaction.signs,
        "severity": reaction.severity,
        "presentation": reaction.presentation,
        "also": reaction.also,
        "emergency_called_at": reaction.emergency_called_at,
    }
