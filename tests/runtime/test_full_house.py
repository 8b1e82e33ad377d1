"""A full house: commands in flight are bounded, and an emergency is taken past the bound."""

import asyncio

import pytest

from engine.kernel.errors import Overloaded
from engine.runtime.limits import Limits
from tests.runtime.faulty import FaultyStore
from tests.runtime.test_executor import filled
from tests.runtime.toy import ReportSpill, ask


async def test_commands_in_flight_are_bounded() -> None:
    """At the limit a command is taken; one past it is told which limit, and when there is room it is taken."""
    store = FaultyStore()
    executor = await filled(store, limits=Limits(commands_in_flight=2))
    store.commits.clear()
    running = [asyncio.create_task(executor.execute(ask(f"s{n}", ReportSpill()))) for n in range(2)]
    await asyncio.wait(running, timeout=0)
    with pytest.raises(Overloaded) as refused:
        await executor.execute(ask("s3", ReportSpill()))
    store.commits.set()
    await asyncio.gather(*running)

    assert refused.value.limit == "commands_in_flight"
    assert (await executor.execute(ask("s3", ReportSpill()))).version == 4


async def test_an_emergency_is_taken_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The house is full: an alarm is taken all the same, and lands with what was there before."""
    store = FaultyStore()
    executor = await filled(store, limits=Limits(commands_in_flight=2, commit_queue=2))
    store.commits.clear()
    running = [asyncio.create_task(executor.execute(ask(f"s{n}", ReportSpill()))) for n in range(2)]
    await asyncio.wait(running, timeout=0)
    monkeypatch.setattr(ReportSpill, "emergency", True)
    alarm = asyncio.create_task(executor.execute(ask("alarm", ReportSpill())))
    await asyncio.wait([alarm], timeout=0)
    store.commits.set()

    assert (await alarm).version == 4
    assert [(await one).version for one in running] == [2, 3]
