"""The tables of Landlock's ABI, as rows; what the kernel makes of them is in test_linux_confinement."""

import pytest

from epollo.linux.landlock import (
    READING,
    FileAccess,
    NetworkAccess,
    Scope,
    describe_handled,
    restrict_to_reading,
    select_handled,
)
from linux.confined import ABI

# Bits as the kernel's include/uapi/linux/landlock.h numbers them.
HANDLED = [
    (0, 0x0, 0x0, 0x0),
    (1, 0x1FFF, 0x0, 0x0),
    (2, 0x3FFF, 0x0, 0x0),
    (3, 0x7FFF, 0x0, 0x0),
    (4, 0x7FFF, 0x3, 0x0),
    (5, 0xFFFF, 0x3, 0x0),
    (6, 0xFFFF, 0x3, 0x3),
    (7, 0xFFFF, 0x3, 0x3),
    (99, 0xFFFF, 0x3, 0x3),
]


@pytest.mark.parametrize(("abi", "files", "network", "scopes"), HANDLED)
def test_handled_by_abi(abi: int, files: int, network: int, scopes: int) -> None:
    assert select_handled(abi) == (files, network, scopes)


def test_every_right_is_handled_by_the_newest() -> None:
    files, network, scopes = select_handled(99)
    assert set(files) == set(FileAccess)
    assert set(network) == set(NetworkAccess)
    assert set(scopes) == set(Scope)


def test_reading_is_two_rights_that_every_abi_handles() -> None:
    assert set(READING) == {FileAccess.READ_FILE, FileAccess.READ_DIR}
    assert select_handled(1).files & READING == READING


@pytest.mark.parametrize(
    ("abi", "line"),
    [
        (1, "files: only reading below the root (and emptying what it owns) (Landlock ABI 1)"),
        (3, "files: only reading below the root (Landlock ABI 3)"),
        (5, "files: only reading below the root; outwards: no TCP (Landlock ABI 5)"),
        (7, "files: only reading below the root; outwards: no TCP, no signals (Landlock ABI 7)"),
    ],
)
def test_description(abi: int, line: str) -> None:
    assert describe_handled(abi) == line


@pytest.mark.skipif(ABI == 0, reason="this kernel has no Landlock")
def test_a_root_that_is_no_descriptor() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        restrict_to_reading([-1], ABI)
