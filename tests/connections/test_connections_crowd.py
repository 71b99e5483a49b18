from epollo.connections.crowd import bound_unsent_octets


def test_a_crowd_that_doubles_lets_no_more_wait_than_before() -> None:
    assert {bound_unsent_octets(connections) for connections in range(128)} == {0}
    for connections in (128, 255, 256, 511, 512, 1023, 1024, 2047):
        doublings = connections.bit_length() - 1
        assert bound_unsent_octets(connections) << doublings == 16 * 1024 * 1024
    assert bound_unsent_octets(100_000) == 16 * 1024
