"""Spells a chart as a table: for each phase, each verb that it takes, where it leads, and what may refuse it."""

from collections import defaultdict
from pathlib import Path

from tests.workflows.explore import explored, refusals, regions
from tests.workflows.machines import machine, verbs

GOLDEN = Path(__file__).parent / "golden"


def table(name: str) -> str:
    """Return a machine's table. A verb that a phase does not list is refused there with WRONG_PHASE."""
    made = machine(name)
    kinds = verbs(name)
    to: dict[tuple[str, str], set[str]] = defaultdict(set)
    no: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    parts = regions(made.chart)
    for edge in explored(name):
        for part in parts:
            (leaf,) = set(part) & set(edge.before)
            if edge.after is not None:
                to[leaf, edge.event].update(set(part) & set(edge.after))
            no[leaf, edge.event].update(dict.fromkeys(refusals(made, edge.before, edge.event)[0]))
    wishes = [event for event in made.stepper.events() if not _fact(name, event)]
    told = [event for event in made.stepper.events() if _fact(name, event)]
    lines = [f"{name}: what each phase allows", ""]
    for part in parts:
        for leaf in part:
            lines.append(leaf)
            for event in (*wishes, *told):
                there = sorted(to[leaf, event])
                moves = there != [leaf]
                if not there or (not moves and (_fact(name, event) or not _mentions(name, part, event))):
                    continue
                refused = f"  unless {', '.join(no[leaf, event])}" if no[leaf, event] else ""
                lines.append(f"  {kinds[event].__name__} → {' | '.join(there)}{refused}")
            lines.append("")
    lines.append("in every phase, changing none that is not named above:")
    lines += [f"  {kinds[event].__name__}" for event in told]
    return "\n".join(lines) + "\n"


def _fact(name: str, event: str) -> bool:
    kind = verbs(name)[event]
    return kind.fact or event == "timer_fired"


def _mentions(name: str, part: tuple[str, ...], event: str) -> bool:
    """Return whether a region is the one that an event is about: the one that declares it, or the first one."""
    made = machine(name)
    own = [
        region
        for region in regions(made.chart)
        if any(
            event in {str(e) for e in transition.events}
            for leaf in region
            for transition in made.chart.states_map[leaf].transitions
        )
    ]
    return part in own or (not own and part == regions(made.chart)[0])
