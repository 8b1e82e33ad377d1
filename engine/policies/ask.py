"""How a policy asks: a request from the engine itself; the runner gives it its id and cause."""

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.ids import Stream


def ask(policy: str, machine: str, identifier: str, command: Command, correlation: str = "") -> Request:
    """Return the request of a policy for one stream."""
    return Request(
        request_id=policy,
        stream=Stream(machine, identifier),
        command=command,
        actor=Actor.system(f"policy:{policy}"),
        correlation=correlation,
    )
