"""Following with doorbells: few requests while they announce what ends, full pace once they stop, and nothing lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.core.follow.doorbells import Bell
from connector.core.follow.following import BACKSTOP_SECONDS
from connector.core.follow.list_health import Trouble
from connector.core.follow.open_run import OpenRun, Stage
from tests.core.follow.following_world import START, Manners, World
from tests.core.follow.ringing import Ringer
from tests.core.follow.test_following import NO_FAST_PHASE, hostile
from tests.summary import Say

SAFETY = 30.0
SOON = 2.0
"""A pass, its pages and a GET."""


def flowing(ringer: Ringer, seconds: int, per_second: float = 1.0, **world: object) -> World:
    """A world in which runs of 20 to 110 s begin all the time."""
    made = World(rate=None, **({"safety": SAFETY} | world))  # type: ignore[arg-type]
    for number in range(int(seconds * per_second)):
        run = made.start(20.0 + (number * 37) % 90, at=START + number / per_second)
        ringer.attach(made, run)
    return made


def bell(world: World, route: str = "documents") -> Bell:
    return world.doorbells.bells()[route][0]


def trouble(world: World, run_type: str = "extract") -> Trouble | None:
    return world.following.states(world.now)[run_type].trouble


def delays(world: World, since: float = START, until: float = float("inf")) -> list[float]:
    return sorted(found.at - found.run.end for found in world.found.values() if since <= found.run.end < until)


def gaps(world: World, since: float, until: float) -> list[float]:
    return [b - a for a, b in pairwise(at for at, _ in world.pages if since <= at < until)]


# ---- while they ring -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ringer", [Ringer(), Ringer(lost=0.1, doubled=0.2)])
def test_while_doorbells_ring_a_run_costs_its_get_and_a_tenth_at_most(ringer: Ringer, say: Say) -> None:
    world = flowing(ringer, 2_000)
    world.run(2_300.0)
    assert len(world.found) == 2_000
    assert len(world.gets) == 2_000
    steady = range(int(START) + 200, int(START) + 2_000)
    requests = sum(int(at) in steady for at, _ in [*world.gets, *world.pages])
    ends = sum(int(found.at) in steady for found in world.found.values())
    late = delays(world)
    say(
        f"webhooks, {ringer.lost:.0%} lost, one run per second: {requests / ends:.2f} GETs per run, found p50 "
        f"{late[1_000]:.2f} s, p99 {late[1_980]:.1f} s after the end"
    )
    assert requests <= 1.1 * ends
    assert late[1_500] < 0.5
    assert delays(world)[-1] <= SAFETY + SOON


def test_one_in_ten_that_is_lost_leaves_them_ringing() -> None:
    world = flowing(Ringer(lost=0.1), 2_000)
    world.run(100.0)
    for _ in range(1_800):
        world.run(1.0)
        assert bell(world) is Bell.RINGING


def test_a_workflow_with_reviews_rings_for_both_ends() -> None:
    world = World(safety=SAFETY)
    for number in range(60):
        run = world.start(
            0.0, at=START + 5.0 * number, run_type="workflow", then=((20.0, "NEEDS_REVIEW"), (900.0, "REJECTED"))
        )
        Ringer().attach(world, run)
    world.run(400.0)
    assert bell(world) is Bell.RINGING


def test_ends_without_an_event_say_nothing() -> None:
    world = World(safety=SAFETY)
    for number in range(100):
        run = world.start(0.0, at=START + number, then=((20.0, "CANCELLED" if number % 2 else "PROCESSED"),))
        Ringer().attach(world, run)
    world.run(200.0)
    assert len(world.found) == 100
    assert bell(world) is Bell.RINGING
    assert world.doorbells.bells()["documents"][1] == 1.0


def test_what_ended_before_we_owned_it_says_nothing() -> None:
    world = flowing(Ringer(), 300)
    world.run(300.0)
    for number in range(40):
        old = world.start(50.0, at=START - 500.0 + number, ours=False)
        world.follow(old, restored=True)
    world.run(20.0)
    assert bell(world) is Bell.RINGING
    assert world.doorbells.bells()["documents"][1] == 1.0


def test_runs_one_after_the_other_cost_no_list_each() -> None:
    world = World(safety=SAFETY)
    for number in range(400):
        Ringer().attach(world, world.start(4.0, at=START + 5.0 * number))
    world.run(2_100.0)
    assert len(world.found) == 400
    steady = [1 for at, _ in world.pages if at >= START + 100.0]
    assert len(steady) <= 70


def test_a_route_that_does_not_ring_sets_the_pace_of_its_type_and_of_no_other() -> None:
    world = World(rate=None, safety=SAFETY)
    for number in range(300):
        Ringer().attach(world, world.start(20.0, at=START + number))
        Ringer().attach(world, world.start(20.0, at=START + number, run_type="classify", route="classified"))
        if 100 <= number < 200:
            world.start(20.0, at=START + number, route="deaf")
    world.run(320.0)
    assert (bell(world), bell(world, "classified"), bell(world, "deaf")) == (Bell.RINGING, Bell.RINGING, Bell.SILENT)
    read = {kind: [at - START for at, each in world.pages if each == kind] for kind in ("extract", "classify")}
    assert sum(120.0 < at < 200.0 for at in read["extract"]) > 70
    assert sum(120.0 < at < 200.0 for at in read["classify"]) < 10
    assert sum(250.0 < at < 300.0 for at in read["extract"]) < 6


# ---- when they stop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_second", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("phase", [0.0, 7.0, 13.0, 22.0])
def test_within_a_minute_of_the_last_doorbell_lists_are_read_at_full_pace(per_second: float, phase: float) -> None:
    stopped = START + 600.0 + phase
    world = flowing(Ringer(broken_from=stopped), 900, per_second)
    world.run(stopped - START)
    assert bell(world) is Bell.RINGING
    world.run(60.5)
    rung = max(at for at, _ in world.rings)
    assert world.now - rung >= 60.0
    assert bell(world) is Bell.SILENT
    world.run(200.0)
    assert max(gaps(world, rung + 61.0, world.now)) < 1.5
    assert delays(world, rung + 62.0, world.now - SOON)[-1] < SOON


def test_a_long_safety_interval_puts_full_pace_off_no_longer() -> None:
    stopped = START + 600.0
    world = flowing(Ringer(broken_from=stopped), 900, safety=300.0)
    world.run(stopped - START)
    assert len([at for at, _ in world.pages if at > START + 100.0]) <= 4
    world.run(60.5)
    assert bell(world) is Bell.SILENT


def test_they_are_relied_on_again_when_they_ring_again() -> None:
    world = flowing(Ringer(broken_from=START + 300.0, broken_until=START + 600.0), 900)
    world.run(590.0)
    assert bell(world) is Bell.SILENT
    world.run(100.0)
    assert bell(world) is Bell.RINGING
    assert [turn.bell for turn in world.following.turns()] == [Bell.RINGING, Bell.SILENT, Bell.RINGING]


def test_false_doorbells_do_not_hide_that_the_true_ones_have_stopped() -> None:
    world = flowing(Ringer(false=0.5, broken_from=START + 300.0), 600)
    world.run(380.0)
    assert bell(world) is Bell.SILENT


def test_runs_that_are_polled_are_polled_seldom_while_doorbells_ring_and_as_before_when_they_stop() -> None:
    stopped = START + 300.0
    world = flowing(Ringer(broken_from=stopped), 600, interval=None)
    long = [world.start(5_000.0).id for _ in range(40)]
    world.run(stopped - START)
    assert bell(world) is Bell.RINGING
    looks = [[at for at, run_id in world.gets if run_id == each and at > START + 90.0] for each in long]
    assert min(len(each) for each in looks) > 3
    assert all(b - a >= SAFETY for each in looks for a, b in pairwise(each))
    world.run(120.0)
    assert bell(world) is Bell.SILENT
    late = delays(world, stopped + 75.0, stopped + 90.0)
    assert late
    assert late[-1] < 12.0  # the SDK's own schedule
    looks = [[at for at, run_id in world.gets if run_id == each] for each in long]
    assert max(b - a for each in looks for a, b in pairwise(each)) <= 1.25 * SAFETY + SOON, "none is put off"


# ---- the list, seldom read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("manners", [Manners(), Manners(lag=4.0), Manners(lag=12.0), Manners(page=50)])
@pytest.mark.parametrize("run_type", ["extract", "parse"])
def test_a_good_list_that_is_seldom_read_stays_good_and_shows_everything(manners: Manners, run_type: str) -> None:
    world = World(rate=None, safety=SAFETY, manners=manners)
    ringer = Ringer(lost=0.15, late=0.1, doubled=0.2)
    for number in range(1_500):
        lasts = 0.1 if number % 10 == 0 else 20.0 + (number * 37) % 300
        ringer.attach(world, world.start(lasts, at=START + number, run_type=run_type))
    for _ in range(38):
        world.run(50.0)
        assert trouble(world, run_type) is None
    assert len(world.found) == 1_500
    assert {found.via for found in world.found.values()} == {"sweep", "webhook"}
    assert delays(world)[-1] <= SAFETY + manners.lag + SAFETY * (manners.lag > 0) + SOON


@pytest.mark.parametrize("manners", [Manners(), Manners(lag=12.0)])
def test_a_list_that_is_read_each_five_minutes_stays_good_and_shows_everything(manners: Manners) -> None:
    world = flowing(Ringer(lost=0.1, doubled=0.1), 3_000, 0.5, safety=300.0, manners=manners)
    for _ in range(70):
        world.run(50.0)
        assert trouble(world) is None
    assert len(world.found) == 1_500
    assert {found.via for found in world.found.values()} == {"sweep", "webhook"}
    assert delays(world)[-1] <= 300.0 + SOON + 300.0 * (manners.lag > 0)


def test_parse_runs_that_are_too_old_by_the_next_pass_are_no_fault_of_their_list() -> None:
    """Ten pages are read of a list by ``createdAt``: 1,000 runs, and these begin within 200 s."""
    world = World(rate=None, safety=300.0)
    for number in range(4_000):
        run = world.start(400.0 if number % 50 == 0 else 20.0, at=START + number / 5, run_type="parse")
        Ringer().attach(world, run)
    for _ in range(25):
        world.run(50.0)
        assert trouble(world, "parse") is None
    assert len(world.found) == 4_000


@pytest.mark.parametrize("manners", [Manners(hidden=1.0), Manners(frozen=START + 200.0), Manners(failing=1.0)])
def test_a_bad_list_is_found_out_although_doorbells_ring(manners: Manners) -> None:
    world = flowing(Ringer(lost=0.05), 900)
    world.run(200.0)
    world.manners = manners
    seen = set()
    for _ in range(250):
        world.run(1.0)
        seen.add(trouble(world))
    assert seen != {None}
    world.run(1_000.0)
    assert len(world.found) == 900
    assert delays(world, START + 400.0)[-1] <= 1.25 * SAFETY + SOON


# ---- whatever comes ------------------------------------------------------------------------------------------------

bad = st.builds(
    Ringer,
    lost=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    late=st.sampled_from([0.0, 0.3, 1.0]),
    late_by=st.sampled_from([5.0, 9.0, 60.0]),
    doubled=st.sampled_from([0.0, 0.5]),
    false=st.sampled_from([0.0, 0.5, 1.0]),
    broken_from=st.sampled_from([START + 100.0, float("inf")]),
    broken_until=st.sampled_from([START + 250.0, float("inf")]),
)

lives = st.lists(
    st.tuples(
        st.sampled_from([0.1, 3.0, 45.0, 200.0]),
        st.floats(0.0, 400.0),
        st.sampled_from(["extract", "workflow", "parse", "edit"]),
        st.sampled_from(["documents", "others"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bad, lives, st.sampled_from([1.0, None]))
def test_whatever_doorbells_do_every_end_is_found_within_the_safety_interval(
    ringer: Ringer, born: list[tuple[float, float, str, str]], interval: float | None
) -> None:
    world = World(rate=None, safety=SAFETY, interval=interval, seed=len(born))
    for lasts, at, run_type, route in born:
        ringer.attach(world, world.start(lasts, at=START + at, run_type=run_type, route=route))
    world.run(700.0)
    assert len(world.found) == len(born)
    assert all(delay <= 1.25 * SAFETY + SOON for delay in delays(world))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bad, hostile, hostile, lives)
def test_whatever_doorbells_and_lists_do_every_end_is_found(
    ringer: Ringer, first: Manners, second: Manners, born: list[tuple[float, float, str, str]]
) -> None:
    world = World(rate=None, safety=SAFETY, manners=first, options=NO_FAST_PHASE, seed=len(born))
    for lasts, at, run_type, route in born:
        ringer.attach(world, world.start(lasts, at=START + at, run_type=run_type, route=route))
    world.later(START + 250.0, lambda: setattr(world, "manners", second))
    world.run(2 * BACKSTOP_SECONDS + 700.0, lambda: len(world.found) == len(born))
    assert len(world.found) == len(born)
    assert all(delay < 2 * BACKSTOP_SECONDS + 120.0 for delay in delays(world))


@settings(max_examples=25, deadline=None)
@given(bad, lives)
def test_a_doorbell_costs_at_most_one_get(ringer: Ringer, born: list[tuple[float, float, str, str]]) -> None:
    world = World(rate=None, safety=SAFETY, seed=len(born))
    for lasts, at, run_type, route in born:
        ringer.attach(world, world.start(lasts, at=START + at, run_type=run_type, route=route))
    world.run(700.0)
    for run in world.runs.values():
        gets = sum(run_id == run.id for _, run_id in world.gets)
        rings = sum(run_id == run.id for _, run_id in world.rings)
        assert gets <= 1 + rings


def test_doorbells_for_what_has_ended_cost_nothing_and_those_for_what_has_not_are_coalesced() -> None:
    world = World(safety=SAFETY)
    ended, running = world.start(5.0), world.start(500.0)
    world.run(10.0)
    gets = len(world.gets)
    for number in range(1_000):
        world.later(world.now + number * 0.1, lambda: world.rang(ended))
        world.later(world.now + number * 0.1, lambda: world.rang(running))
    world.run(100.0)
    assert len(world.gets) - gets < 20
    world.run(500.0)
    assert len(world.found) == 2


def test_a_doorbell_is_not_doubted_for_what_rows_said() -> None:
    world = World(safety=SAFETY, manners=Manners(lies=1.0))
    run = world.start(1_000.0)
    Ringer().attach(world, run)
    world.run(1_100.0)
    assert len(world.gets) > 6
    assert world.found[run.id].via == "webhook"
    assert world.found[run.id].at - run.end < SOON


def test_a_row_is_not_doubted_for_what_doorbells_said() -> None:
    world = World(safety=SAFETY)
    run = world.start(100.0)
    for number in range(40):
        world.later(START + 1.0 + number, lambda: world.rang(run))
    world.run(110.0)
    assert world.found[run.id].via == "sweep"
    assert world.found[run.id].at - run.end < SOON


@settings(max_examples=15, deadline=None)
@given(bad, lives)
def test_a_run_is_always_due_some_time(ringer: Ringer, born: list[tuple[float, float, str, str]]) -> None:
    world = World(rate=2.0, safety=SAFETY, seed=len(born))
    for lasts, at, run_type, route in born:
        ringer.attach(world, world.start(lasts, at=START + at, run_type=run_type, route=route))
    for _ in range(20):
        world.run(25.0)
        for each in world.open.values():
            assert isinstance(each, OpenRun)
            assert each.place or each.stage is Stage.LOOKED_AT
