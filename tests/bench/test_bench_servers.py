from pathlib import Path

import pytest

from servers import Order, nginx_configuration, nginx_variants
from workloads import WORKLOADS, compose_site, write_site

BY_NAME = {workload.name: workload for workload in WORKLOADS}


def configure(workload: str, variant: str) -> str:
    return nginx_configuration(
        Order(
            site=Path("/site"),
            scratch=Path("/scratch"),
            port=8000,
            workload=BY_NAME[workload],
            answer_octets=0,
            variant=variant,
        )
    )


def test_every_variant_of_nginx_is_another_configuration() -> None:
    for workload in WORKLOADS:
        variants = nginx_variants(workload)
        assert len({configure(workload.name, variant) for variant in variants}) == len(variants)


def test_nginx_does_what_the_variant_says() -> None:
    text = configure("1k", "sendfile tcp_nopush open_file_cache")
    assert "sendfile on;" in text
    assert "tcp_nopush on;" in text
    assert "open_file_cache max" in text
    text = configure("1k", "output_buffers=4:256k")
    assert "sendfile off;" in text
    assert "output_buffers 4 256k;" in text
    assert "open_file_cache" not in text


def test_nginx_gets_a_cache_of_this_size_and_files_that_are_coded() -> None:
    text = configure("1k", "open_file_cache=15000 gzip_static brotli_static")
    assert "open_file_cache max=15000 " in text
    assert "gzip_static on;" in text
    assert "brotli_static on;" in text
    assert text.startswith("load_module ")
    assert "load_module" not in configure("1k", "gzip_static")


@pytest.mark.parametrize("name", list(BY_NAME))
def test_nginx_compresses_only_where_it_is_asked_to(name: str) -> None:
    assert ("gzip on;" in configure(name, "plain")) == (name == "gzip")


def test_the_site_is_the_same_every_time_and_as_long_as_it_says(tmp_path: Path) -> None:
    site = compose_site()
    assert site == compose_site()
    lengths = {name: len(content) for name, content in site.items()}
    assert lengths == {
        "1k.html": 1 << 10,
        "1k.png": 1 << 10,
        "10k.css": 10 << 10,
        "100k.jpg": 100 << 10,
        "10m.bin": 10 << 20,
        "text.html": 100 << 10,
    }
    write_site(site, tmp_path / "site")
    assert (tmp_path / "site" / "1k.html").read_bytes() == site["1k.html"]


def test_every_workload_has_its_script_and_its_content() -> None:
    site = compose_site()
    folder = Path(__file__).parents[2] / "bench" / "lua"
    for workload in WORKLOADS:
        assert (folder / workload.script).is_file()
        assert len(workload.content(site)) <= len(site[workload.file])
    assert len(BY_NAME["range"].content(site)) == 100
    assert BY_NAME["304"].content(site) == b""
