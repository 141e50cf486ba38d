"""The overview: one row for each question that somebody on call asks, from the top."""

from __future__ import annotations

from helm.dashboards.board import Rows
from helm.dashboards.panels import bars, heatmap, lines, stacked, stat

_OWN_SHARE = """(
  sum(increase(unclear_starts_total{end="parked"}[]))
  + sum(increase(own_ends_total{reason="CONNECTOR_RESULT_UNREADABLE"}[]))
) / (
  sum(increase(unclear_starts_total{end="parked"}[])) + (sum(increase(runs_finished_total{}[])) > 0)
)"""
_BACKLOG = "sum(consumer_lag_records{})"
_DRAIN = f"{_BACKLOG} / (sum(rate(records_consumed_total{{}}[])) > 0)"


def _quantile(of: str, metric: str, by: str = "le") -> str:
    return f"histogram_quantile({of}, sum by ({by}) (rate({metric}_bucket{{}}[])))"


_NOW = (
    stat("Backlog", "Records in the input topics that no worker has accepted yet.", _BACKLOG),
    stat("In flight", "Documents accepted and without a result.", "sum(runs_in_flight{})"),
    stat("Time to drain", "How long the backlog lasts at the pace at which records are accepted now.", _DRAIN, "s"),
    stat(
        "Oldest open run",
        "Age of the open run that was started first; empty when no run is open.",
        "time() - min(oldest_run_started_timestamp_seconds{} > 0)",
        "s",
    ),
    stat(
        "Parked",
        "Documents that wait for a person, because it is unclear whether their run exists.",
        "sum(parked_documents{})",
        red=1,
    ),
    stat("In review", "Documents that a person has to decide at Extend.", "sum(review_documents{})"),
    stat(
        "Stopped",
        "Partitions that stand still, and routes that start nothing, each once for each reason.",
        "sum(stopped_partitions{} or vector(0)) + sum(max by (route, reason) (starts_stopped{}) or vector(0))",
        red=1,
    ),
    stat("Workers", "Workers that answer to Prometheus.", "count(runs_in_flight_limit{} > 0)"),
)

_DOCUMENTS = (
    stacked(
        "Documents out, by status",
        "Results per second, by the status of the run.",
        "ops",
        {"{{outcome}}": "sum by (outcome) (rate(runs_finished_total{}[])) > 0"},
    ),
    lines(
        "Documents in, started and out",
        "Records accepted, runs started and results written, per second.",
        "ops",
        {
            "in": "sum(rate(records_consumed_total{}[]))",
            "started": "sum(rate(runs_started_total{}[]))",
            "out": "sum(rate(runs_finished_total{}[]))",
        },
    ),
    stacked(
        "Backlog",
        "Records that are not accepted yet, by input topic. It grows while the API's limits are below what comes in.",
        "short",
        {"{{topic}}": "sum by (topic) (consumer_lag_records{})"},
    ),
    lines(
        "In flight against limit",
        "At the limit no new record is read, and the backlog grows.",
        "short",
        {
            "in flight": "sum(runs_in_flight{})",
            "limit": "sum(runs_in_flight_limit{})",
            "of these without a run": "sum(ready_documents{})",
        },
    ),
)

_TIMES = (
    lines(
        "End to end",
        "From the input record's timestamp to the commit of its first result.",
        "s",
        {
            "p50": _quantile("0.5", "end_to_end_duration_seconds"),
            "p95": _quantile("0.95", "end_to_end_duration_seconds"),
            "p99": _quantile("0.99", "end_to_end_duration_seconds"),
        },
    ),
    lines(
        "Detection delay",
        "From a run's end to the moment in which it is seen, by what made the connector look: a list, a webhook, or "
        "the run's time.",
        "s",
        {
            "{{via}} p50": _quantile("0.5", "result_detection_delay_seconds", "le, via"),
            "{{via}} p99": _quantile("0.99", "result_detection_delay_seconds", "le, via"),
        },
    ),
    lines(
        "Run duration, by route",
        "From a run's start to its end at Extend. A route has one processor, unless its references bring their own.",
        "s",
        {
            "{{route}} p50": _quantile("0.5", "run_duration_seconds", "le, route"),
            "{{route}} p95": _quantile("0.95", "run_duration_seconds", "le, route"),
        },
    ),
    heatmap(
        "Run duration: $route",
        "How many runs took how long, for each route.",
        "sum by (le) (increase(run_duration_seconds_bucket{}[]))",
        repeat="route",
    ),
)

_API = (
    stacked(
        "API requests, by code",
        "Requests to the API per second, by HTTP status or class of error.",
        "reqps",
        {"{{code}}": "sum by (code) (rate(api_requests_total{}[]))"},
    ),
    lines(
        "Waiting for the API's limits",
        "The part of each second in which starts or looks waited: for the plan's budget, or because of a 429; and the "
        "share of requests that a 429 answered.",
        "percentunit",
        {
            "{{source}}": "sum by (source) (rate(api_throttled_seconds_total{}[]))",
            "429s": '(sum(rate(api_requests_total{code="429"}[])) or vector(0)) '
            "/ (sum(rate(api_requests_total{}[])) > 0)",
        },
    ),
    lines(
        "API latency p95",
        "By what the request is for.",
        "s",
        {"{{operation}}": _quantile("0.95", "api_request_duration_seconds", "le, operation")},
    ),
    lines(
        "Budget share",
        "What each worker may use of the plan: its part of the input partitions. Together they are 1 while every "
        "partition has an owner.",
        "percentunit",
        {"{{pod}}": "sum by (pod) (budget_share{})", "together": "sum(budget_share{})"},
    ),
    lines(
        "How ends are found",
        "Workers by the state of the list of each run type; one that is not sweeping, stretched or idle polls its runs "
        "one by one.",
        "short",
        {"{{run_type}} {{state}}": "sum by (run_type, state) (sweep_state{}) > 0"},
    ),
    lines(
        "Lag of the lists, and looks that wait",
        "How late the API's lists show a change, and how many runs are due and wait for the request budget.",
        "short",
        {
            "{{run_type}} lag (s)": "max by (run_type) (list_lag_seconds{})",
            "due runs": "sum(poller_due_runs{})",
        },
    ),
)

_WEBHOOKS = (
    stacked(
        "Webhooks, by result",
        "Requests to the webhook port per second, by what became of them.",
        "reqps",
        {"{{result}}": "sum by (result) (rate(webhook_requests_total{}[])) > 0"},
    ),
    lines(
        "Webhooks: what is known of them",
        "Workers by what they know of a route's webhooks, and the share of ends that webhooks announced "
        "(follow.mode: webhook).",
        "short",
        {
            "{{route}} {{state}}": "sum by (route, state) (webhooks_state{}) > 0",
            "{{route}} announced": "min by (route) (webhooks_announced_share{})",
        },
    ),
    lines(
        "Since the last webhook",
        "How long no webhook has rung at a document, over all ingresses.",
        "s",
        {"silence": "time() - max(webhook_accepted_timestamp_seconds{})"},
    ),
    lines(
        "Webhook latency",
        "Until the webhook is durable and answered.",
        "s",
        {
            "p50": _quantile("0.5", "webhook_request_duration_seconds"),
            "p99": _quantile("0.99", "webhook_request_duration_seconds"),
        },
    ),
)

_SOMEBODY = (
    lines(
        "Waiting for a person",
        "Parked: nobody knows whether the run exists. Looked for: it may still be found. Under review: at Extend.",
        "short",
        {
            "parked": "sum(parked_documents{})",
            "looked for": "sum(unclear_documents{})",
            "under review": "sum(review_documents{})",
        },
    ),
    bars(
        "Dead letters, by reason",
        "Records that could not become a run.",
        {"{{reason}}": "sum by (reason) (increase(dead_letters_total{}[])) > 0"},
    ),
    lines(
        "Starts and partitions that are stopped",
        "Nothing is started on these routes, and these partitions stand still; the reason is in parentheses.",
        "short",
        {
            "{{route}} ({{reason}})": "max by (route, reason) (starts_stopped{}) > 0",
            "{{topic}}/{{partition}} ({{reason}})": "sum by (topic, partition, reason) (stopped_partitions{}) > 0",
        },
    ),
    lines(
        "The connector's own failures",
        "Of all documents that came to an end, the share that the connector parked or had to end itself. What Extend "
        "refuses or fails is not among them. The error budget is 0.1 %.",
        "percentunit",
        {"own failures": _OWN_SHARE, "error budget": "vector(0.001)"},
    ),
)

_MONEY = (
    bars(
        "Credits spent, by route",
        "Credits that finished runs used, as the API reports them.",
        {"{{route}}": "sum by (route) (increase(credits_total{}[])) > 0"},
    ),
    bars(
        "Unclear starts, by their end, and second runs",
        "A retried start may have bought a second run; a second run that was found is paid for.",
        {
            "{{end}}": "sum by (end) (increase(unclear_starts_total{}[]))",
            "second runs": "sum(increase(second_runs_total{}[]))",
        },
    ),
)

_KAFKA = (
    bars(
        "Rebalances",
        "What happened to partitions, in all workers.",
        {"{{kind}}": "sum by (kind) (increase(rebalances_total{}[]))"},
    ),
    lines(
        "Restores",
        "From the assignment of a partition until it goes on, and restores that are overdue.",
        "s",
        {
            "p95": _quantile("0.95", "restore_seconds"),
            "overdue": "sum(restores_blocked{})",
        },
    ),
)

OVERVIEW: Rows = {
    "Now": _NOW,
    "Documents": _DOCUMENTS,
    "How long it takes": _TIMES,
    "The API": _API,
    "Webhooks": _WEBHOOKS,
    "What needs somebody": _SOMEBODY,
    "Money": _MONEY,
    "Kafka": _KAFKA,
}
