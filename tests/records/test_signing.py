"""Signing and sealing through the executor: the engine fills in what people sign, and the file verifies."""

import pytest

from engine.kernel.clock import ManualClock
from engine.kernel.commands import Command, Request
from engine.kernel.errors import Rejected
from engine.records.enrich import RecordEnrichers
from engine.records.reader import RecordReader
from engine.records.verify import verify_file
from engine.runtime.executor import Executor
from engine.runtime.ids import RandomIds
from engine.workflows.ring import machine as ring_machine
from engine.workflows.session import commands as c
from tests.records import stories
from tests.records.driver import KEY, MACHINES, Driver


class Engine:
    """An executor over the store of a story that is ready to be signed."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.requests = 0

    async def open(self) -> RecordReader:
        """Open the executor; return the reader over its store."""
        store = await self.driver.store()
        reader = RecordReader(store)
        clock = ManualClock(self.driver.now)
        self.executor = Executor(
            [MACHINES["session"], ring_machine()],
            store,
            clock,
            RandomIds(),
            fingerprint_key=bytes(32),
            enrichers=RecordEnrichers(reader, KEY, clock).all(),
        )
        await self.executor.open()
        return reader

    async def do(self, actor: object, command: Command) -> None:
        """Execute a command on the session."""
        self.requests += 1
        await self.executor.execute(
            Request(
                request_id=f"sign-{self.requests}",
                stream=self.driver.session,
                command=command,
                actor=actor,  # type: ignore[arg-type]
            )
        )


def observed() -> Driver:
    """A session up to the end of monitoring."""
    driver = stories.to_injected()
    stories.observed(driver)
    return driver


async def test_confirm_attest_seal_export() -> None:
    """Technologist and physician sign the hash they read; the sealed file verifies and the record is complete."""
    engine = Engine(observed())
    reader = await engine.open()
    seen = (await reader.draft("ses-1")).hash
    await engine.do(stories.TECHNOLOGIST, c.ConfirmRecord(seen_hash=seen))
    await engine.do(stories.MEDIA, c.ReportLineClosed())
    await engine.do(stories.PHYSICIAN, c.AttestRecord(seen_hash=(await reader.draft("ses-1")).hash))
    await engine.do(stories.POLICY, c.SealRecord())
    record = await reader.document("ses-1")

    assert verify_file(record, [KEY.key_id]).problems == ()
    assert (await reader.draft("ses-1")).hash == seen


async def test_a_record_that_changed_since_it_was_read_is_not_signed() -> None:
    """A fact between reading and signing is refused with RECORD_CHANGED, and the signature is not there."""
    engine = Engine(observed())
    reader = await engine.open()
    seen = (await reader.draft("ses-1")).hash
    await engine.do(stories.TECHNOLOGIST, c.RecordVitals(heart_rate_bpm=80))
    with pytest.raises(Rejected) as refusal:
        await engine.do(stories.TECHNOLOGIST, c.ConfirmRecord(seen_hash=seen))

    assert refusal.value.reason == "RECORD_CHANGED"
    assert (await reader.draft("ses-1")).record.value("signatures.technologist") is None


async def test_an_incomplete_record_is_not_signed() -> None:
    """A gap that is still open keeps both people from signing, with RECORD_INCOMPLETE."""
    driver = stories.to_injected()
    driver.do(stories.MEDIA, c.ReportLineLost(cause="no_packets_from_physician"))
    driver.do(stories.TECHNOLOGIST, c.RecordGapAction(gap_number=1, action=""))
    driver.do(stories.MEDIA, c.ReportLineVerified(evidence=stories.proof()))
    stories.observed(driver)
    engine = Engine(driver)
    reader = await engine.open()
    draft = await reader.draft("ses-1")
    with pytest.raises(Rejected) as refusal:
        await engine.do(stories.TECHNOLOGIST, c.ConfirmRecord(seen_hash=draft.hash))

    assert refusal.value.reason == "RECORD_INCOMPLETE"
    assert ("line.gaps.1.action", "technologist") in [(item.path, item.who) for item in draft.missing]
