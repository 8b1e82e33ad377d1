"""Gathers a session's circumstances and asks the rules. It decides nothing: the rule book does."""

import datetime as dt
from zoneinfo import ZoneInfo

from engine.kernel.clock import end_of
from engine.rules.rulebook import Rulebook
from engine.rules.verdict import Circumstances, Licence, Party, evaluate
from engine.workflows.directory.state import DirectoryState
from engine.workflows.session.state import CredentialEvidence, LayerResult, SessionState, VerdictEvidence

VALID_S = 3600


class Rules:
    """The rule book in force. A verdict holds an hour at most, because credentials are to be checked hourly."""

    def __init__(self, book: Rulebook) -> None:
        self.book = book

    def evaluate(
        self,
        session: SessionState,
        directory: DirectoryState,
        physician: CredentialEvidence | None,
        responder: CredentialEvidence | None,
        now: dt.datetime,
    ) -> VerdictEvidence:
        """Return what the rules say of a session at `now`."""
        verdict = evaluate(self.book, self.circumstances(session, directory, physician, responder, now))
        until = now + dt.timedelta(seconds=VALID_S)
        if verdict.facts_until is not None:
            until = min(until, end_of(verdict.facts_until, site_zone(directory, session.site_id)))
        layers = tuple(
            LayerResult(
                layer=answer.layer,
                result=answer.result,
                rule_id=answer.rule_id,
                reason=answer.reason,
                citation=answer.citation,
                version=answer.version,
            )
            for answer in verdict.layers
        )
        return VerdictEvidence(
            result=verdict.result,
            layers=layers,
            assumed=verdict.assumed,
            rulebook_hash=self.book.hash,
            rulebook_version=self.book.version,
            evaluated_at=now,
            valid_until=until,
        )

    @staticmethod
    def circumstances(
        session: SessionState,
        directory: DirectoryState,
        physician: CredentialEvidence | None,
        responder: CredentialEvidence | None,
        now: dt.datetime,
    ) -> Circumstances:
        """Return the facts a verdict is made of. Access to imaging records is a credential of kind `records`."""
        phone = session.in_phase("on_phone")
        return Circumstances(
            on=now.astimezone(site_zone(directory, session.site_id)).date(),
            state=session.site_state,
            site=session.site_id,
            setting=session.setting,
            modality=session.order.modality if session.order else "",
            injector="technologist",
            media="audio" if phone else "av",
            mode=session.mode,
            supervisor=_party(directory, physician, now) if physician else None,
            responder=_party(directory, responder, now) if responder else None,
            records_access=_records_access(directory, physician, session.site_id, now),
            hcpcs=session.order.hcpcs if session.order else "",
        )


def site_zone(directory: DirectoryState, site_id: str) -> dt.tzinfo:
    """Return the site's time zone: the date of service is the date where the patient is. UTC when none is known."""
    site = directory.sites.get(site_id)
    return ZoneInfo(site.time_zone) if site is not None and site.time_zone else dt.UTC


def _party(directory: DirectoryState, evidence: CredentialEvidence, now: dt.datetime) -> Party:
    licences = tuple(
        Licence(
            type=held.licence_type,
            state=held.state,
            expires_on=held.expires_on,
            number=held.number,
            issued_on=held.issued_on,
        )
        for held in directory.credentials.values()
        if held.person_id == evidence.person_id
        and held.kind == "licence"
        and not held.revoked
        and not held.board_action
        and held.expires_on is not None
    )
    return Party(licences=licences, competency_expires_on=evidence.competency_expires_on)


def _records_access(
    directory: DirectoryState, physician: CredentialEvidence | None, site_id: str, now: dt.datetime
) -> bool | None:
    """Return whether the physician's access to a site's imaging records is on file; None when nothing is."""
    if physician is None:
        return None
    held = [
        credential
        for credential in directory.credentials.values()
        if credential.person_id == physician.person_id
        and credential.kind == "records_access"
        and credential.number in ("", site_id)
    ]
    if not held:
        return None
    return any(
        not credential.revoked and credential.expires_on is not None and credential.expires_on >= now.date()
        for credential in held
    )
