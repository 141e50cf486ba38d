from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connector.core.recent import Recent


def test_a_name_is_remembered_for_its_time() -> None:
    recent = Recent(600, 10)
    recent.add("event_1", 0.0)
    assert recent.has("event_1", 599.0)
    assert not recent.has("event_1", 600.0)
    assert not recent.has("event_2", 0.0)


def test_a_name_that_comes_again_is_remembered_from_then_on() -> None:
    recent = Recent(600, 10)
    recent.add("event_1", 0.0)
    recent.add("event_1", 500.0)
    assert recent.has("event_1", 1000.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=60))
def test_it_never_holds_more_than_it_may_and_forgets_the_oldest(steps: list[tuple[int, int]]) -> None:
    recent, now = Recent(20, 4), 0.0
    added: dict[int, float] = {}
    for name, pause in steps:
        now += pause
        recent.add(str(name), now)
        added.pop(name, None)
        added[name] = now
        last = list(added.items())[-4:]
        assert len(recent) <= 4
        assert {each for each in range(31) if recent.has(str(each), now)} == {
            each for each, at in last if at + 20 > now
        }
