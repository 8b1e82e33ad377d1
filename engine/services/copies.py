"""Records as the porches hand them out: the sealed file when there is one, the draft otherwise, and the PDF of it.

A reaction's documents are made here too, from the same history and what the directory says of site and people.
"""

import asyncio
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from engine.kernel.errors import Missing
from engine.kernel.ids import Stream
from engine.reactions.overlay import SiteOverlay, plan_for
from engine.reactions.pack import Pack
from engine.reactions.state import ReactionState
from engine.records.completeness import missing
from engine.records.document import codec, folded, render
from engine.records.papers.parts import Case, Place
from engine.records.papers.render import Paper, paper
from engine.records.pdf import render_pdf
from engine.records.reader import RecordReader
from engine.runtime.executor import Executor
from engine.services.ports import MissingItem, RecordCopy
from engine.workflows.directory.state import DirectoryState
from engine.workflows.session.events import RecordSealed
from engine.workflows.session.state import SessionState


class RecordCopies:
    """Gives copies of records. `packs` are the protocol packs at hand, by hash, `overlays` the sites' plans by site."""

    def __init__(
        self,
        reader: RecordReader,
        executor: Executor,
        packs: Mapping[str, Pack],
        overlays: Mapping[str, SiteOverlay] = MappingProxyType({}),
    ) -> None:
        self._reader = reader
        self._executor = executor
        self._packs = packs
        self._overlays = overlays

    async def read(self, session_id: str, *, include_pdf: bool) -> RecordCopy:
        """Return a session's record as it is now."""
        state: SessionState = await self._executor.state(Stream("session", session_id))
        sealed = bool(state.sealed_hash)
        document = await (self._reader.document(session_id) if sealed else self._reader.unsealed(session_id))
        draft = await self._reader.draft(session_id)
        return RecordCopy(
            document=document,
            pdf=await asyncio.to_thread(render_pdf, document) if include_pdf else b"",
            body_hash=draft.hash,
            sealed=sealed,
            missing=tuple(
                MissingItem(field=item.path, reason=item.why, who=item.who) for item in draft.missing
            ),
        )

    async def missing(self, session_id: str) -> Sequence[MissingItem]:
        """Return what a session's record lacks; once only signatures are owed, those too."""
        state: SessionState = await self._executor.state(Stream("session", session_id))
        draft = await self._reader.draft(session_id)
        items = missing(draft.record, signatures=state.in_phase("closing", "signed"))
        return [MissingItem(field=item.path, reason=item.why, who=item.who) for item in items]

    async def reaction_document(self, reaction_id: str, kind: str) -> Paper:
        """Return a document of a reaction as it is now, open or over. Raises Missing."""
        case = await self.case(reaction_id)
        return await asyncio.to_thread(paper, kind, case)

    async def case(self, reaction_id: str) -> Case:
        """Return everything that a reaction's documents are made from."""
        reaction: ReactionState = await self._executor.state(Stream("reaction", reaction_id))
        if reaction.version == 0:
            raise Missing("there is no such reaction")
        history = await self._reader.load(reaction.session_id)
        directory: DirectoryState = await self._executor.state(Stream("directory", reaction.organization_id))
        site = directory.sites.get(reaction.site_id)
        file = render(history, folded(history, codec()))
        return Case(
            document=json.loads(file),
            reaction_id=reaction_id,
            position=history.rows[-1].position,
            place=Place(
                name=site.name,
                address=site.address,
                ems_address=site.ems_address,
                time_zone=site.time_zone,
            )
            if site
            else Place(),
            names={person.person_id: person.name for person in directory.people.values()},
            call_backs={person.person_id: person.phone for person in directory.people.values()},
            pack=self._packs.get(reaction.pack_hash),
            plan=plan_for(self._overlays, reaction.site_id, reaction.pack_id),
        )

    async def sealed_pdf(self, session_id: str) -> tuple[bytes, dt.datetime]:
        """Return the sealed record's PDF and the moment of its newest seal. Raises Missing when it is not sealed."""
        document = await self._reader.document(session_id)
        history = await self._executor.history(Stream("session", session_id))
        seals = [one.event.sealed_at for one in history if isinstance(one.event, RecordSealed)]
        return await asyncio.to_thread(render_pdf, document), seals[-1]
