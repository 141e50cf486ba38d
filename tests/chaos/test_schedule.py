"""The long run's schedule has the proportions that it says, whatever the seed."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

import pytest

from connector.stop_points import STEPS, stop_point_of
from tests.chaos.chaos import TRANSACTION_SECONDS
from tests.chaos.proxy import END_TXN
from tests.chaos.schedule import DECK, KILL, NETWORK, STOP, STRIKE_SECONDS, fates, rule_of, strikes

seeds = pytest.mark.parametrize("seed", range(5))


@seeds
def test_every_step_is_met_by_kills_and_by_stops(seed: int) -> None:
    drawn = list(islice(fates(Random(seed), 60), 4 * len(STEPS) * 3))
    met = Counter((fate.step, fate.how) for fate in drawn)

    assert {fate.how for fate in drawn[:3]} == {KILL, STOP}
    assert met == {(step, how): 9 if how == KILL else 3 for step in STEPS for how in (KILL, STOP)}
    for fate in drawn:
        stop_point_of(str(fate))


@seeds
def test_every_kind_strikes_once_before_any_strikes_again(seed: int) -> None:
    drawn = [kind for _, kind in islice(strikes(Random(seed)), 2 * sum(DECK.values()))]

    assert set(drawn[: len(DECK)]) == DECK.keys()
    assert Counter(drawn) == {kind: 2 * count for kind, count in DECK.items()}


def test_an_hour_has_what_it_is_meant_to_have() -> None:
    passed, struck = 0.0, Counter[str]()
    for pause, kind in strikes(Random(1)):
        passed += pause
        if passed > 3_600:
            break
        assert STRIKE_SECONDS[0] <= pause <= STRIKE_SECONDS[1]
        struck[kind] += 1

    assert struck["EndTxn delayed"] >= 100
    assert sum(count for kind, count in struck.items() if kind.endswith("killed")) >= 25
    assert struck["rolling update"] >= 9


def test_the_same_seed_draws_the_same() -> None:
    assert list(islice(fates(Random("7"), 4), 50)) == list(islice(fates(Random("7"), 4), 50))
    assert list(islice(strikes(Random("7")), 50)) == list(islice(strikes(Random("7")), 50))
    assert list(islice(strikes(Random("8")), 50)) != list(islice(strikes(Random("7")), 50))


def test_a_delay_lasts_and_a_loss_does_not() -> None:
    random = Random(1)
    delays = [rule_of("EndTxn delayed", random) for _ in range(50)]

    assert {(rule.api_key, rule.action) for rule in delays} == {(END_TXN, "delay")}
    assert min(rule.seconds for rule in delays) >= 1
    assert max(rule.seconds for rule in delays) > TRANSACTION_SECONDS
    assert all(rule_of(kind, random).seconds == 0 for kind in NETWORK if not kind.endswith("delayed"))
