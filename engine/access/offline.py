"""Who wrote a console's log: judged by the sign-in that held when it was begun, not by the clock of now.

Rule: a sign-in that runs out during an outage cannot be renewed, so what is written after it is kept and marked. A log
that was never signed in for is refused whole.
"""

from collections.abc import Mapping
from dataclasses import replace

from engine.access.scope import caller_request_id, within
from engine.access.table import CLINICAL
from engine.access.tokens import TokenVerifier
from engine.kernel.commands import Command, Request
from engine.kernel.errors import Forbidden
from engine.runtime.executor import Enricher, Executor
from engine.workflows.session.commands import ReportOfflineLog
from engine.workflows.session.state import SessionState


class OfflineEnrichers:
    """The enricher of a console's log."""

    def __init__(self, executor: Executor, verifier: TokenVerifier) -> None:
        self._executor = executor
        self._verifier = verifier

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {ReportOfflineLog: self.written}

    async def written(self, state: SessionState, command: ReportOfflineLog, request: Request) -> Command:
        """Fill who wrote the log, and which entries had come in as commands before the network went.

        Raises Unauthenticated, Missing or Forbidden when its token did not let anybody write here then.
        """
        writer = self._verifier.held(command.token, command.began_at, command.device_at)
        within(writer, "session", state)
        if writer.role not in CLINICAL:
            raise Forbidden(f"the role {writer.role} may not write the log of a reaction")
        here, sent = {state.session_id, *state.reactions}, []
        for entry in command.entries:
            name = caller_request_id(writer.organization_id, entry.entry_id)
            kept = await self._executor.store.request(name)
            if kept is not None and kept.stream.id in here:
                sent.append(entry.entry_id)
        return replace(
            command,
            written_by=writer.person_id,
            signed_in_until=writer.expires_at,
            sent_before=frozenset(sent),
        )
