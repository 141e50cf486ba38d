"""For each alert, what makes it fire and what must not: series as promtool reads them, one sample a step.

Names are the metrics' own, without their prefix; ``up`` is Prometheus'. A case is one state of the world.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Series = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One alert.

    Attributes:
        alert: its name.
        at: minutes after which is looked.
        fires: states of the world in which it fires.
        silent: states in which it does not, each for a reason of its own.
        step: minutes between two samples.
    """

    alert: str
    at: int
    fires: list[Series] = field(default_factory=list)
    silent: list[Series] = field(default_factory=list)
    step: int = 1

    @property
    def pace(self) -> int:
        """Minutes between two evaluations of the rules: days of them by the minute would take minutes."""
        return 1 if self.at <= 100 else 30


_FINISHED = 'runs_finished_total{route="a", outcome="PROCESSED"}'
_FAILED = 'runs_finished_total{route="a", outcome="FAILED"}'
_PARKED = 'unclear_starts_total{end="parked"}'
_ADOPTED = 'unclear_starts_total{end="adopted"}'
_UNREADABLE = 'own_ends_total{reason="CONNECTOR_RESULT_UNREADABLE"}'
_NO_FILE = 'dead_letters_total{reason="NO_FILE"}'
_DROPPED = 'dead_letters_total{reason="DROPPED"}'
_REFUSED = 'dead_letters_total{reason="REFUSED_BY_API"}'
_SEEN = 'result_detection_delay_seconds_count{via="poll"}'
_SOON = 'result_detection_delay_seconds_bucket{via="poll", le="30.0"}'
_LAG = 'consumer_lag_records{topic="in", partition="0"}'
_OFFSET = 'next_offset{topic="in", partition="0"}'
_STOPPED = 'starts_stopped{route="a", reason="breaker"}'
_IN_FLIGHT = {"runs_in_flight{}": "5x60", "runs_in_flight_limit{}": "100x60"}
_AT_LIMIT = {"runs_in_flight{}": "100x60", "runs_in_flight_limit{}": "100x60"}
_STANDS = {
    _LAG: "5x60",
    'records_consumed_total{topic="in"}': "3x60",
    'runs_started_total{route="a"}': "3x60",
    _STOPPED: "0x60",
}
_STALLED = {_LAG: "5x60", _OFFSET: "7x60", _STOPPED: "0x60"}
_ACCEPTED = 'webhook_requests_total{result="accepted"}'
_UNAVAILABLE = 'webhook_requests_total{result="unavailable"}'
_BAD = 'webhook_requests_total{result="bad_signature"}'
_BUDGET = 'api_throttled_seconds_total{source="budget"}'
_BUILD = 'build_info{version="1"}'
_LIMIT = "runs_in_flight_limit{}"
_OTHER_UP = 'up{instance="b:8080", pod="connector-1"}'
_NEIGHBOUR_UP = 'up{job="neighbour", instance="c:8080", pod="neighbour-0"}'

CASES = (
    Case(
        "ExtendErrorBudgetBurnsFast",
        60,
        fires=[
            {_FINISHED: "0+10x60", _PARKED: "0+1x60", _UNREADABLE: "0x60"},
            {_FINISHED: "0+10x60", _PARKED: "0x60", _UNREADABLE: "0+1x60"},
        ],
        silent=[
            # What Extend fails or refuses is not the connector's.
            {_FINISHED: "0+1x60", _FAILED: "0+9x60", _REFUSED: "0+9x60", _PARKED: "0x60", _UNREADABLE: "0x60"},
            {_FINISHED: "0+10x60", _ADOPTED: "0+5x60", _PARKED: "0x60", _UNREADABLE: "0x60"},
            # It is over.
            {_FINISHED: "0+10x60", _PARKED: "0+1x50 50x10", _UNREADABLE: "0x60"},
            # Too few documents to speak of shares.
            {_FINISHED: "0+1x60", _PARKED: "0+1x60", _UNREADABLE: "0x60"},
        ],
    ),
    Case(
        "ExtendErrorBudgetBurnsSlowly",
        360,
        fires=[{_FINISHED: "0+2x360", _PARKED: "0+0.1x360", _UNREADABLE: "0x360"}],
        silent=[
            {_FINISHED: "0+2x360", _PARKED: "0+0.1x320 32x40", _UNREADABLE: "0x360"},
            {_FINISHED: "0+2x360", _FAILED: "0+2x360", _PARKED: "0x360", _UNREADABLE: "0x360"},
            {_FINISHED: "0+0.5x360", _PARKED: "0+0.05x360", _UNREADABLE: "0x360"},
        ],
    ),
    Case(
        "ExtendErrorBudgetShrinks",
        4320,
        fires=[{_FINISHED: "0+10x432", _PARKED: "0+0.1x432", _UNREADABLE: "0x432"}],
        silent=[
            {_FINISHED: "0+10x432", _FAILED: "0+10x432", _PARKED: "0x432", _UNREADABLE: "0x432"},
            {_FINISHED: "0+10x432", _PARKED: "0+0.1x350 35x82", _UNREADABLE: "0x432"},
            {_FINISHED: "0+1x432", _PARKED: "0+0.1x432", _UNREADABLE: "0x432"},
        ],
        step=10,
    ),
    Case(
        "ExtendResultsSeenLate",
        60,
        fires=[{_SEEN: "0+2x60", _SOON: "0+1x60"}],
        silent=[
            {_SEEN: "0+2x60", _SOON: "0+2x60"},
            # It is over.
            {_SEEN: "0+2x60", _SOON: "0+1x40 42+2x20"},
            # Too few to speak of shares.
            {_SEEN: "0+0.2x60", _SOON: "0x60"},
            {_SEEN.replace("poll", "adopted"): "0+2x60", _SOON.replace("poll", "adopted"): "0+1x60"},
        ],
    ),
    Case(
        "ExtendDocumentsParked",
        5,
        fires=[{"parked_documents{}": "0 1x9"}],
        silent=[{"parked_documents{}": "0x9", "unclear_documents{}": "3x9"}],
    ),
    Case(
        "ExtendSecondRuns",
        10,
        fires=[{"second_runs_total{}": "0x5 1x9"}],
        silent=[{"second_runs_total{}": "3x15"}],
    ),
    Case(
        "ExtendDeadLetters",
        10,
        fires=[{_NO_FILE: "0x5 2x9"}],
        silent=[{_NO_FILE: "2x15", _DROPPED: "0x5 2x9"}],
    ),
    Case(
        "ExtendManyDeadLetters",
        60,
        fires=[
            {_NO_FILE: "0+1x60", _FINISHED: "0+10x60"},
            {_NO_FILE: "0+1x60", _FINISHED: "0+10x60", _DROPPED: "0+1000x60"},
        ],
        silent=[
            # What a person dropped is no alarm for a person.
            {_NO_FILE: "0+0.5x60", _FINISHED: "0+100x60", _DROPPED: "0+10x60"},
            {_NO_FILE: "0+0.1x60", _FINISHED: "0+2x60", _DROPPED: "0+1x60"},
            {_NO_FILE: "0x30 5x30", _FINISHED: "0+1x60"},
            {_NO_FILE: "0x30 25x30", _FINISHED: "0+100x60"},
        ],
    ),
    Case(
        "ExtendRunStuck",
        450,
        fires=[{"oldest_run_started_timestamp_seconds{}": "1x450"}],
        silent=[
            {"oldest_run_started_timestamp_seconds{}": "20000x450"},
            {"oldest_run_started_timestamp_seconds{}": "0x450"},
        ],
    ),
    Case(
        "ExtendNoProgress",
        15,
        fires=[{**_STANDS, **_IN_FLIGHT}],
        silent=[
            {**_STANDS, **_IN_FLIGHT, _LAG: "0x60"},
            {**_STANDS, **_IN_FLIGHT, 'runs_started_total{route="a"}': "0+1x60"},
            {**_STANDS, **_IN_FLIGHT, 'records_consumed_total{topic="in"}': "0+1x60"},
            {**_STANDS, **_IN_FLIGHT, _STOPPED: "1x60"},
            {**_STANDS, **_AT_LIMIT},
        ],
    ),
    Case(
        "ExtendStartsStopped",
        6,
        fires=[{_STOPPED: "1x9"}],
        silent=[{_STOPPED: "1x3 0x9"}],
    ),
    Case(
        "ExtendFollowingStalled",
        10,
        fires=[
            {"poller_last_cycle_timestamp_seconds{}": "1x20", "oldest_run_started_timestamp_seconds{}": "1x20"},
        ],
        silent=[
            # Documents that wait for their start are no runs to look at.
            {
                "poller_last_cycle_timestamp_seconds{}": "1x20",
                "oldest_run_started_timestamp_seconds{}": "0x20",
                "runs_in_flight{}": "5x20",
            },
            {"poller_last_cycle_timestamp_seconds{}": "0+60x20", "oldest_run_started_timestamp_seconds{}": "1x20"},
        ],
    ),
    Case(
        "ExtendSaturated",
        35,
        fires=[{"runs_in_flight{}": "95x40", "runs_in_flight_limit{}": "100x40"}],
        silent=[
            {"runs_in_flight{}": "85x40", "runs_in_flight_limit{}": "100x40"},
            {"runs_in_flight{}": "95x20 85 95x20", "runs_in_flight_limit{}": "100x42"},
        ],
    ),
    Case(
        "ExtendApiKeyRefused",
        8,
        fires=[{'api_requests_total{operation="create", code="401"}': "0+1x10"}],
        silent=[
            {'api_requests_total{operation="create", code="400"}': "0+1x10"},
            {'api_requests_total{operation="create", code="401"}': "7x10"},
        ],
    ),
    Case(
        "ExtendApiThrottled",
        25,
        fires=[
            {
                'api_requests_total{operation="get", code="429"}': "0+3x30",
                'api_requests_total{operation="get", code="200"}': "0+7x30",
            }
        ],
        silent=[
            {
                'api_requests_total{operation="get", code="429"}': "0+1x30",
                'api_requests_total{operation="get", code="200"}': "0+9x30",
            }
        ],
    ),
    Case(
        "ExtendBudgetExhausted",
        40,
        fires=[
            {_LAG: "0+10x50", _BUDGET: "0+50x50", "poller_due_runs{}": "0x50"},
            {_LAG: "0x50", _BUDGET: "0x50", "poller_due_runs{}": "3x50"},
        ],
        silent=[
            {_LAG: "1000-10x50", _BUDGET: "0+50x50", "poller_due_runs{}": "0x50"},
            {_LAG: "0+10x50", _BUDGET: "0+5x50", "poller_due_runs{}": "0x50"},
            {_LAG: "0x50", _BUDGET: "0x50", "poller_due_runs{}": "3x20 0 3x29"},
        ],
    ),
    Case(
        "ExtendListsUnreliable",
        35,
        fires=[{'sweep_state{run_type="extract", state="lagging"}': "1x40"}],
        silent=[
            {
                'sweep_state{run_type="extract", state="lagging"}': "0x40",
                'sweep_state{run_type="extract", state="off"}': "1x40",
            },
            {'sweep_state{run_type="extract", state="lagging"}': "1x20 0 1x20"},
        ],
    ),
    Case(
        "ExtendPartitionStopped",
        5,
        fires=[{'stopped_partitions{topic="in", partition="0", reason="journal_unreadable"}': "1x9"}],
        silent=[{'stopped_partitions{topic="in", partition="0", reason="journal_unreadable"}': "1 stale"}],
    ),
    Case(
        "ExtendPartitionStalled",
        25,
        fires=[
            {
                **_STALLED,
                **_IN_FLIGHT,
                _LAG.replace('"0"', '"1"'): "5+1x60",
                _OFFSET.replace('"0"', '"1"'): "0+9x60",
            }
        ],
        silent=[
            # More comes in than is accepted, but something is.
            {**_STALLED, **_IN_FLIGHT, _LAG: "5+5x60", _OFFSET: "0+1x60"},
            {**_STALLED, **_IN_FLIGHT, _STOPPED: "1x60"},
            {**_STALLED, **_AT_LIMIT},
        ],
    ),
    Case(
        "ExtendSchemaRegistryUnavailable",
        10,
        fires=[{"registry_unavailable{}": "1x20"}],
        silent=[{"registry_unavailable{}": "0x20"}, {"registry_unavailable{}": "1x4 0x16"}],
    ),
    Case(
        "ExtendRestoreStuck",
        5,
        fires=[{"restores_blocked{}": "1x9"}],
        silent=[{"restores_blocked{}": "1x2 0x9"}],
    ),
    Case(
        "ExtendTransactionsUnclear",
        15,
        fires=[{'transactions_total{end="unclear"}': "0 1 2 3 4x20"}],
        silent=[
            {'transactions_total{end="unclear"}': "0 1x20"},
            {'transactions_total{end="aborted"}': "0+1x20"},
        ],
    ),
    Case(
        "ExtendProduceFailing",
        18,
        fires=[{'produce_errors_total{error="TOPIC_AUTHORIZATION_FAILED"}': "0+1x20"}],
        silent=[{'produce_errors_total{error="TOPIC_AUTHORIZATION_FAILED"}': "0 1 2 3x20"}],
    ),
    Case(
        "ExtendRebalanceStorm",
        16,
        fires=[{'rebalances_total{kind="assigned"}': "0+1x20"}],
        silent=[{'rebalances_total{kind="assigned"}': "0 1 2 3x20"}],
    ),
    Case(
        "ExtendIdleWorkers",
        65,
        fires=[{"assigned_partitions{}": "0x70", "runs_in_flight_limit{}": "100x70"}],
        silent=[
            # An ingress is no worker.
            {"assigned_partitions{}": "0x70", "runs_in_flight_limit{}": "0x70"},
            {"assigned_partitions{}": "0x50 2x20", "runs_in_flight_limit{}": "100x70"},
        ],
    ),
    Case(
        "ExtendWebhooksFailing",
        18,
        fires=[{_UNAVAILABLE: "0+1x20", _ACCEPTED: "0+9x20"}],
        silent=[
            {_UNAVAILABLE: "0x20", _BAD: "0+1x20", _ACCEPTED: "0+9x20"},
            {_UNAVAILABLE: "0 1x20", _ACCEPTED: "0+9x20"},
        ],
    ),
    Case(
        "ExtendWebhooksBadSignature",
        32,
        fires=[{_BAD: "0+1x40"}],
        silent=[{_BAD: "0 1x40"}, {_BAD: "0x40", 'webhook_requests_total{result="not_signed"}': "0+1x40"}],
    ),
    Case(
        "ExtendWebhooksSilent",
        17,
        fires=[{'webhooks_state{route="a", state="silent"}': "1x20"}],
        silent=[
            {'webhooks_state{route="a", state="silent"}': "1x10 0x10"},
            {'webhooks_state{route="a", state="unproven"}': "1x20"},
        ],
    ),
    Case(
        "ExtendConnectorDown",
        90,
        fires=[
            # It was there, and is away for longer than a night shift sleeps.
            {"up{}": "1x2 0x90", _BUILD: "1x2 _x90"},
            # It never came up, beside one that did.
            {"up{}": "1x90", _BUILD: "1x90", _OTHER_UP: "0x90"},
        ],
        silent=[
            {"up{}": "0x90"},
            {"up{}": "1x90", _BUILD: "1x90"},
            {"up{}": "1x90", _BUILD: "1x90", _NEIGHBOUR_UP: "0x90"},
        ],
    ),
    Case(
        "ExtendConnectorMissing",
        12,
        fires=[
            {"up{}": "1x15"},
            # An ingress is no worker.
            {"up{}": "1x15", _BUILD: "1x15", _LIMIT: "0x15"},
        ],
        silent=[{_BUILD: "1x15", _LIMIT: "5000x15"}],
    ),
)
