"""Downloads share a batch, so that nothing small waits for all of them."""

import pytest

from epollo.connections.steps import STEP_OCTETS_MINIMUM, Steps
from epollo.protocols.answer import STEP_OCTETS

BATCHES = 20


def take_batches(steps: Steps, downloads: int, others: int, first: float = 0.0) -> list[int]:
    """Return what a batch sends, of each of some batches a millisecond apart."""
    return [
        sum(steps.share(first + batch / 1000, downloads + others) for _ in range(downloads))
        for batch in range(BATCHES)
    ]


def test_a_download_alone_takes_whole_steps() -> None:
    assert take_batches(Steps(), 1, 0) == [STEP_OCTETS] * BATCHES
    assert take_batches(Steps(), 1, 63) == [STEP_OCTETS] * BATCHES


@pytest.mark.parametrize("downloads", [2, 16])
def test_downloads_beside_others_take_together_what_one_takes(downloads: int) -> None:
    octets = take_batches(Steps(), downloads, 1)
    # The first two batches are those in which it becomes known.
    assert set(octets[2:]) == {STEP_OCTETS}


def test_a_step_never_costs_more_than_it_sends() -> None:
    octets = take_batches(Steps(), 1000, 1)
    assert octets[-1] == 1000 * STEP_OCTETS_MINIMUM


def test_downloads_without_others_take_whole_steps() -> None:
    assert take_batches(Steps(), 64, 0)[-1] == 64 * STEP_OCTETS
    assert take_batches(Steps(), 640, 0)[-1] == 64 * STEP_OCTETS // 640 * 640


def test_others_are_remembered_for_a_second() -> None:
    steps = Steps()
    take_batches(steps, 16, 1)
    assert take_batches(steps, 16, 0, first=0.5)[-1] == STEP_OCTETS
    assert take_batches(steps, 16, 0, first=2.0)[-1] == 16 * STEP_OCTETS
