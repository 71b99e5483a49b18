"""Downloads share a batch, so that nothing small waits for all of them."""

import pytest

from epollo.connections.steps import LONE_OCTETS, Steps
from epollo.protocols.answer import STEP_OCTETS, STEP_OCTETS_MINIMUM

BATCHES = 20


def take_batches(steps: Steps, downloads: int, others: int, first: float = 0.0) -> list[int]:
    """Return what a batch sends, of each of some batches a millisecond apart."""
    return [
        sum(steps.share(first + batch / 1000, downloads + others) for _ in range(downloads))
        for batch in range(BATCHES)
    ]


def test_a_download_alone_takes_long_steps_from_the_second_on() -> None:
    assert take_batches(Steps(), 1, 0) == [STEP_OCTETS] + [LONE_OCTETS] * (BATCHES - 1)


def test_a_download_alone_that_takes_long_for_a_step_takes_no_long_ones() -> None:
    steps = Steps()
    assert {steps.share(batch / 50, 1) for batch in range(BATCHES)} == {STEP_OCTETS}


def test_a_download_beside_others_takes_whole_steps() -> None:
    assert take_batches(Steps(), 1, 63) == [STEP_OCTETS] * BATCHES


def test_a_download_takes_no_long_step_as_soon_as_others_were_there() -> None:
    steps = Steps()
    take_batches(steps, 1, 1)
    assert take_batches(steps, 1, 0, first=BATCHES / 1000) == [STEP_OCTETS] * BATCHES


@pytest.mark.parametrize("downloads", [2, 16])
def test_downloads_beside_others_take_together_what_one_takes(downloads: int) -> None:
    octets = take_batches(Steps(), downloads, 1)
    # The first two batches are those in which it becomes known.
    assert set(octets[2:]) == {STEP_OCTETS}


def test_a_step_never_costs_more_than_it_sends() -> None:
    octets = take_batches(Steps(), 1000, 1)
    assert octets[-1] == 1000 * STEP_OCTETS_MINIMUM


@pytest.mark.parametrize("downloads", [2, 3, 64, 640])
def test_downloads_without_others_take_whole_steps(downloads: int) -> None:
    octets = take_batches(Steps(), downloads, 0)[-1]
    together = min(64, downloads) * STEP_OCTETS
    assert together - downloads < octets <= together


def test_others_are_remembered_for_a_moment() -> None:
    steps = Steps()
    take_batches(steps, 16, 1)
    assert take_batches(steps, 16, 0, first=0.2)[-1] == STEP_OCTETS
    assert take_batches(steps, 16, 0, first=0.5)[-1] == 16 * STEP_OCTETS
