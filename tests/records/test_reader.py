"""The record out of a real store: what is signed, what is sealed, what is exported."""

import datetime as dt

import pytest

from engine.kernel.errors import Missing
from engine.records.reader import RecordReader
from engine.records.verify import verify_file
from engine.workflows.session import commands as c
from tests.records import stories
from tests.records.driver import KEY


async def test_the_exported_file_is_the_sealed_history() -> None:
    """The reader gathers session, ring and reaction streams by their links and renders the same bytes."""
    driver = stories.severe()
    reader = RecordReader(await driver.store())

    assert await reader.document("ses-1") == driver.file()
    assert verify_file(await reader.document("ses-1"), [KEY.key_id]).sound


async def test_what_happens_after_sealing_does_not_change_the_file() -> None:
    """A call that ends later, or an addendum not yet sealed, leaves the exported revision as it was."""
    driver = stories.uneventful()
    sealed = driver.file()
    driver.do(stories.TECHNOLOGIST, c.RecordVitals(heart_rate_bpm=70))
    reader = RecordReader(await driver.store())

    assert await reader.document("ses-1") == sealed

    stories.signed(driver)
    reader = RecordReader(await driver.store())
    second = await reader.document("ses-1")

    assert await reader.document("ses-1", revision=1) == sealed
    assert verify_file(second, [KEY.key_id]).revision == 2
    assert verify_file(second, [KEY.key_id]).sound


async def test_the_hash_to_sign_and_what_is_missing() -> None:
    """Before monitoring ends the reader says what is missing; after it, the hash is the one that is signed."""
    driver = stories.to_injected()
    _, missing = await RecordReader(await driver.store()).body_hash_and_missing("ses-1")
    stories.observed(driver)
    content, nothing = await RecordReader(await driver.store()).body_hash_and_missing("ses-1")
    driver.confirm(stories.TECHNOLOGIST)
    after, _ = await RecordReader(await driver.store()).body_hash_and_missing("ses-1")

    assert missing == ("times.monitoring_ended",)
    assert nothing == ()
    assert driver.state.confirmed.record_hash == content == after


async def test_the_sealing_command_seals() -> None:
    """The filled-in SealRecord, decided by the session, makes a file that verifies."""
    driver = stories.to_injected()
    stories.observed(driver)
    driver.confirm(stories.TECHNOLOGIST)
    driver.attest(stories.PHYSICIAN)
    reader = RecordReader(await driver.store())
    command = await reader.sealing("ses-1", KEY, driver.now + dt.timedelta(microseconds=250))
    driver.do(stories.POLICY, command)

    assert command.missing == ()
    assert verify_file(await RecordReader(await driver.store()).document("ses-1"), [KEY.key_id]).sound


async def test_an_erased_identity_is_not_in_the_file() -> None:
    """After erasure in the store the exported record still verifies, without the identity."""
    driver = stories.uneventful()
    store = await driver.store()
    await store.erase(["session/ses-1@1.identity"])
    data = await RecordReader(store).document("ses-1")
    report = verify_file(data, [KEY.key_id])

    assert report.sound and report.erased == ("session/ses-1@1.identity",)
    assert b"MRN-4471" not in data


async def test_unknown_and_unsealed_sessions_are_missing() -> None:
    """There is no file for a session that does not exist or is not sealed."""
    reader = RecordReader(await stories.to_injected().store())
    with pytest.raises(Missing):
        await reader.document("ses-2")
    with pytest.raises(Missing):
        await reader.document("ses-1")

    assert not verify_file(await reader.unsealed("ses-1")).sound
