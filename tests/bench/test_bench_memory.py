import mmap
import os
import subprocess

import pytest

from measure import pss_octets
from memory import memory_octets

OCTETS = 16 << 20


def test_a_file_of_memory_counts_once_whether_it_is_mapped_or_not() -> None:
    us = os.getpid()
    before = memory_octets([us])
    descriptor = os.memfd_create("content")
    try:
        for offset in range(0, OCTETS, 1 << 20):
            os.pwrite(descriptor, b"x" * (1 << 20), offset)
        held = memory_octets([us]) - before
        assert held == pytest.approx(OCTETS, rel=0.2)
        with mmap.mmap(descriptor, OCTETS) as mapped:
            assert sum(mapped[::4096]) == ord("x") * OCTETS // 4096
            assert memory_octets([us]) - before == pytest.approx(held, rel=0.2)
            assert memory_octets([us, us]) < 2 * memory_octets([us])
    finally:
        os.close(descriptor)


def test_without_files_of_memory_it_is_the_proportional_set_size() -> None:
    process = os.getpid()
    assert memory_octets([process]) == pytest.approx(pss_octets([process]), rel=0.05)


def test_a_process_that_is_gone_takes_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert memory_octets([gone.pid]) == 0
