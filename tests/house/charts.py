"""Draws docs/charts/ from the chart classes: `python -m tests.house.charts`. The charts are the source."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from statemachine import StateChart
from statemachine.state import State

from engine.kernel.commands import verb
from engine.kernel.machine import Machine
from engine.reactions.step_chart import StepChart
from tests.workflows.machines import NAMES, machine

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "charts"
HEAD = "Drawn from `{source}` by `python -m tests.house.charts`; a test holds it fresh. Do not edit."


def pages() -> dict[str, str]:
    """Return every page of docs/charts by its file name."""
    drawn = {f"{name}.md": page(machine(name)) for name in NAMES}
    steps = [f"# step\n\n{HEAD.format(source=StepChart.__module__)}\n", _diagram(StepChart)]
    return {**drawn, "step.md": "\n".join(steps)}


def page(made: Machine) -> str:
    """Return one machine's page: the picture, what every phase takes, and every reason with its sentence."""
    chart = made.chart
    root = next(iter(chart.states))
    kinds = {verb(kind): kind for kind in made.commands}
    everywhere = sorted({str(e) for transition in root.transitions for e in transition.events})
    parts = [f"# {made.name}\n", HEAD.format(source=chart.__module__) + "\n", _diagram(chart)]
    if everywhere:
        parts.append("Taken in every phase (italic: a wish, which its guards may refuse):\n")
        shown = (kinds[e] for e in everywhere)
        parts.append(
            "\n".join(
                f"- {kind.__name__}" if kind.fact or kind.__name__ == "TimerFired" else f"- _{kind.__name__}_"
                for kind in shown
            )
            + "\n"
        )
    reasons = list(dict.fromkeys(_refusing(chart)))
    if reasons:
        parts.append("| reason | sentence |\n|---|---|")
        parts.append(
            "\n".join(f"| `{name.upper()}` | {_sentence(made.guards[name])} |" for name in reasons) + "\n"
        )
    return "\n".join(parts)


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


def _sentence(guard: Any) -> str:
    return " ".join((guard.__doc__ or "").split())


def _refusing(chart: type[StateChart[Any]]) -> Iterator[str]:
    for state in chart.states_map.values():
        for transition in state.transitions:
            for spec in transition.cond:
                if not spec.expected_value:
                    yield spec.attr_name


def _diagram(chart: type[StateChart[Any]]) -> str:
    tops = list(chart.states)
    lines = ["```mermaid", "stateDiagram-v2"]
    if len(tops) == 1 and tops[0].states:
        root = tops[0]
        if root.parallel:
            lines.append(f"    state {root.id} {{")
            for number, region in enumerate(root.states):
                lines += ["        --"] if number else []
                lines += [f"        {line}" for line in _inside(region)]
            lines.append("    }")
        else:
            lines += [f"    {line}" for line in _inside(root)]
    else:
        lines += [f"    {line}" for line in _children(tops)]
    return "\n".join([*lines, "```", ""])


def _inside(region: State) -> Iterator[str]:
    yield from _children(list(region.states))


def _children(states: list[State]) -> Iterator[str]:
    for state in states:
        if state.initial:
            yield f"[*] --> {state.id}"
        if state.states:
            yield f"state {state.id} {{"
            yield from (f"    {line}" for line in _children(list(state.states)))
            yield "}"
    for state in states:
        yield from _arrows(state)


def _arrows(state: State) -> Iterator[str]:
    """Yield one arrow to each other phase with everything that leads there; what stays in place is not drawn."""
    ways: dict[str, dict[str, None]] = {}
    for transition in state.transitions:
        target = transition.target
        if target is None or target is state:
            continue
        for event in transition.events:
            ways.setdefault(str(target.id), {})[str(event)] = None
    for target, events in ways.items():
        yield f"{state.id} --> {target}: {' / '.join(events)}"


if __name__ == "__main__":
    write()
