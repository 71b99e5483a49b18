from epollo.budget import Budget


def test_counts_what_is_kept() -> None:
    budget = Budget(10)
    budget.take(6)
    budget.take(4)
    assert not budget.is_exceeded
    budget.give_back(3)
    assert budget.octets == 7


def test_what_can_give_way_is_asked_to_when_more_is_taken_than_there_is() -> None:
    budget = Budget(10)
    asked: list[int] = []

    def give_way() -> None:
        asked.append(budget.octets)
        assert budget.is_exceeded
        budget.give_back(5)

    budget.give_way = give_way
    for _ in range(4):
        budget.take(4)
    assert asked == [12, 11]
    assert budget.octets == 6


def test_without_anything_that_gives_way_more_is_taken() -> None:
    budget = Budget(10)
    budget.take(11)
    assert budget.is_exceeded
