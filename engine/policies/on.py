"""How a policy says which events it is about: of any other it asks nothing, and whoever runs it need not try."""

from collections.abc import Callable, Iterator
from functools import wraps

from engine.kernel.commands import Request
from engine.kernel.events import Event, Recorded
from engine.policies.view import View

Policy = Callable[[Recorded, View], Iterator[Request]]


def on(*events: type[Event], urgent: bool = False) -> Callable[[Policy], Policy]:
    """Hold a policy to the events it is about, and name them in its `events`.

    `urgent` has them handled ahead of all others: somebody in the room waits for what follows.
    """
    about = frozenset(events)

    def held(policy: Policy) -> Policy:
        @wraps(policy)
        def asked(recorded: Recorded, view: View) -> Iterator[Request]:
            return policy(recorded, view) if type(recorded.event) in about else iter(())

        asked.events = about  # type: ignore[attr-defined]  # a function may carry what it is marked with
        asked.urgent = urgent  # type: ignore[attr-defined]  # as above
        return asked

    return held
