"""A list whose items are made when somebody looks is a list like any other."""

from sealift_bundler.lazily import Lazily


def test_items_are_made_each_time_and_not_before():
    made = []

    def double(number):
        made.append(number)
        return 2 * number

    items = Lazily(double, [1, 2, 3])
    assert len(items) == 3
    assert made == []
    assert items[1] == 4
    assert list(items) == [2, 4, 6] == list(items)
    assert made == [2, 1, 2, 3, 1, 2, 3]


def test_it_equals_the_tuple_of_its_items():
    items = Lazily(str, (1, 2, 3))
    assert items == ("1", "2", "3") == items
    assert items[1:] == ("2", "3")
    assert items[-1] == "3"
    assert hash(items) == hash(("1", "2", "3"))
    assert items != ("1", "2")
    assert items != ["1", "2", "3"]
    assert not Lazily(str, ())
