"""The results of a lab, read from JSON: all of it is checked, and a mistake is reported in words.

Form 1 is read as well. It has no number of its own, counts the server's look for changed files among
the tries that found nothing, and has English words in two figures.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import fields

from epollo.annotations import Any, Final
from epollo.lab.counters import NAMES
from epollo.lab.results import FD_SETSIZE_WALL, FORM, Cell, Results, Round, Tally, Wall
from epollo.settings.server import POLLER_NAMES

_POLLERS: Final = tuple(name for name in POLLER_NAMES if name != "auto")
_LEAST_POSITIVE: Final = 1e-6
_GREATEST: Final = 1e15
"""Figures beyond these are damaged: no picture could show them."""
_POSITIVE: Final = {"cpu_per_request", "requests_per_second", "p50", "p99", "worst"}


def parse_json(text: str) -> Results:
    """Return the results that `format_json` wrote; raises `ValueError` for anything else."""
    try:
        told = json.loads(text)
    except RecursionError:
        raise ValueError("not the results of a lab: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not the results of a lab: {error}") from None
    try:
        return _read_results(told)
    except ValueError as error:
        raise ValueError(f"not the results of a lab: {error}") from None


def _read_results(told: Any) -> Results:
    where = "the whole"
    form = 1 if isinstance(told, dict) and "form" not in told else _take_whole(told, "form", where)
    if form > FORM:
        raise ValueError(f"form {form} is of a newer epollo; this one reads up to {FORM}")
    pollers = [_check_text(name, "pollers") for name in _take_list(told, "pollers", where)]
    idle = [_check_whole(number, "idle") for number in _take_list(told, "idle", where)]
    if unknown := set(pollers) - set(_POLLERS):
        raise ValueError(f"pollers: {unknown.pop()!r} is none of {', '.join(_POLLERS)}")
    for name, values in (("pollers", pollers), ("idle", idle)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name}: none, or one of them twice")
    results = Results(
        version=_check_text(_take(told, "version", where), "version"),
        date=_check_text(_take(told, "date", where), "date"),
        machine=_read_machine(_take(told, "machine", where)),
        pollers=pollers,
        idle=sorted(idle),
        seconds=_check_number(_take(told, "seconds", where), "seconds", _LEAST_POSITIVE),
        rounds=_take_whole(told, "rounds", where, 1),
        asking=_take_whole(told, "asking", where, 1),
    )
    for number, cell in enumerate(_take_list(told, "cells", where), 1):
        _read_cell(results, cell, f"cell {number}", form)
    if not any(cell.rounds for cell in results.cells):
        raise ValueError("cells: there is no round in any of them")
    for number, wall in enumerate(_take_list(told, "walls", where), 1):
        results.walls.append(_read_wall(results, wall, f"wall {number}"))
    return results


def _read_machine(told: Any) -> dict[str, str]:
    machine = {
        name: _check_text(_take(told, name, "machine"), f"machine: {name}")
        for name in ("processor", "kernel", "python")
    }
    if "processors" in told:
        machine["processors"] = str(_take_whole(told, "processors", "machine", 1))
    else:
        # Form 1: "one of these, 2 in use".
        found = re.fullmatch(r"(.*), (\d{1,9}) in use", machine["processor"])
        if found is not None:
            machine["processor"], machine["processors"] = found[1], found[2]
    return machine


def _read_cell(results: Results, told: Any, where: str, form: int) -> None:
    poller = _check_text(_take(told, "poller", where), f"{where}: poller")
    idle = _take_whole(told, "idle", where)
    if poller not in results.pollers or idle not in results.idle:
        raise ValueError(f"{where}: {poller} with {idle} idle was not to be measured")
    if results.cell(poller, idle) is not None:
        raise ValueError(f"{where}: {poller} with {idle} idle is there twice")
    rounds = [
        _read_round(one, f"{where}, round {number}")
        for number, one in enumerate(_take_list(told, "rounds", where), 1)
    ]
    tally = _take(told, "tally", where)
    if not rounds and tally is None:
        raise ValueError(f"{where}: no round, and nothing counted")
    read = None if tally is None else _read_tally(tally, f"{where}, tally", form)
    results.cells.append(Cell(poller, idle, rounds, read))


def _read_round(told: Any, where: str) -> Round:
    values: dict[str, Any] = {}
    for one in fields(Round):
        value = _take(told, one.name, where)
        if value is None and one.name == "octets_per_connection":
            values[one.name] = None
            continue
        least = _LEAST_POSITIVE if one.name in _POSITIVE else -_GREATEST
        least = 0.0 if one.name == "waiting_share" else least
        values[one.name] = _check_number(value, f"{where}: {one.name}", least)
    return Round(**values)


def _read_tally(told: Any, where: str, form: int) -> Tally:
    return Tally(
        *(
            _read_counts(_take(told, name, where), f"{where}: {name}", form)
            for name in ("per_request", "waiting_per_second")
        )
    )


def _read_counts(told: Any, where: str, form: int) -> dict[str, float]:
    counts = {
        name: _check_number(_take(told, name, where), f"{where}: {name}", 0) for name in NAMES
    }
    if form == 1:
        # All but a few of these reads found that nothing had changed.
        counts["in_vain"] = max(0.0, counts["in_vain"] - counts["read"])
    return counts


def _read_wall(results: Results, told: Any, where: str) -> Wall:
    poller = _check_text(_take(told, "poller", where), f"{where}: poller")
    if poller not in results.pollers:
        raise ValueError(f"{where}: {poller} was not to be measured")
    trouble = _check_text(_take(told, "trouble", where), f"{where}: trouble")
    if trouble.startswith("FD_SETSIZE is "):
        trouble = FD_SETSIZE_WALL
    return Wall(
        poller, _take_whole(told, "idle", where), _take_whole(told, "reached", where), trouble
    )


def _take(told: Any, name: str, where: str) -> Any:
    if not isinstance(told, dict):
        raise ValueError(f"{where} is {_show(told)}, not names and values")
    if name not in told:
        raise ValueError(f"{where}: {name} is missing")
    return told[name]


def _take_list(told: Any, name: str, where: str) -> Iterable[Any]:
    value = _take(told, name, where)
    if not isinstance(value, list):
        raise ValueError(f"{where}: {name} is {_show(value)}, not a list")
    return value


def _take_whole(told: Any, name: str, where: str, least: int = 0) -> int:
    value = _take(told, name, where)
    if name == "processors" and isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    return _check_whole(value, f"{where}: {name}", least)


def _check_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is {_show(value)}, not a text")
    return value


def _check_whole(value: Any, what: str, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _GREATEST:
        raise ValueError(f"{what} is {_show(value)}, not a whole number from {least} on")
    return value


def _check_number(value: Any, what: str, least: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= _GREATEST or math.isnan(value):
        kind = "a number above 0" if least > 0 else "a number"
        raise ValueError(f"{what} is {_show(value)}, not {kind} that can be")
    return float(value)


def _show(value: Any) -> str:
    """Return a value as a message can show it, however long it is."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
