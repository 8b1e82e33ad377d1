"""Deadlines of calls: kept for each, set for many at once."""

import asyncio

import pytest

from engine.runtime.deadlines import GRAIN_S, Deadlines


async def forever() -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


async def test_what_ends_in_time_answers() -> None:
    """Work that is done in time gives its answer, or its own error."""
    deadlines = Deadlines()

    async def answer(value: int) -> int:
        await asyncio.sleep(0)
        return 10 // value

    assert await deadlines.within(5, answer(2)) == 5
    with pytest.raises(ZeroDivisionError):
        await deadlines.within(5, answer(0))


async def test_what_takes_too_long_is_cut_and_never_early() -> None:
    """The work is cancelled once its time is over, not before; the caller's task goes on."""
    loop, ends = asyncio.get_running_loop(), []

    async def work() -> None:
        try:
            await forever()
        finally:
            ends.append(loop.time())

    began = loop.time()
    for seconds in (0, 0.03, 0.1):
        with pytest.raises(TimeoutError):
            await Deadlines().within(seconds, work())
    task = asyncio.current_task()

    assert len(ends) == 3
    assert ends[-1] - began >= 0.13
    assert task is not None
    assert task.cancelling() == 0


async def test_many_calls_share_a_timer() -> None:
    """Calls that end in the same moment need one timer; each is cut by itself, and only those that still run."""
    deadlines = Deadlines()
    quick = [asyncio.create_task(deadlines.within(0.1, asyncio.sleep(0, result=n))) for n in range(50)]
    slow = [asyncio.create_task(deadlines.within(0.1, forever())) for _ in range(50)]
    answers = await asyncio.gather(*quick)
    timers = len(deadlines)
    cut = await asyncio.gather(*slow, return_exceptions=True)

    assert answers == list(range(50))
    assert 1 <= timers <= 1 + 0.1 / GRAIN_S
    assert {type(error) for error in cut} == {TimeoutError}
    assert len(deadlines) == 0


async def test_a_caller_that_goes_away_is_no_deadline() -> None:
    """Cancelled from outside, a call is cancelled and not late."""
    deadlines = Deadlines()
    call = asyncio.create_task(deadlines.within(5, forever()))
    await asyncio.sleep(0)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_work_that_answers_although_it_was_cut_leaves_no_cancellation_behind() -> None:
    """What the work makes of its cancellation counts; its task is not marked for it any more."""

    async def stubborn() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "done all the same"
        return ""

    task = asyncio.current_task()

    assert await Deadlines().within(0.01, stubborn()) == "done all the same"
    assert task is not None
    assert task.cancelling() == 0
