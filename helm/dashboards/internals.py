"""The internals: for who looks for the reason of what the overview shows."""

from __future__ import annotations

from helm.dashboards.board import Rows
from helm.dashboards.panels import bars, heatmap, lines, stacked


def _quantile(of: str, metric: str, by: str = "le") -> str:
    return f"histogram_quantile({of}, sum by ({by}) (rate({metric}_bucket{{}}[])))"


_TRANSACTIONS = (
    stacked(
        "Transactions, by end",
        "Per second. After an unclear end the producer is replaced and the journal read again.",
        "ops",
        {"{{end}}": "sum by (end) (rate(transactions_total{}[]))"},
    ),
    lines(
        "Transaction duration",
        "From its begin to the answer to its commit or abort.",
        "s",
        {
            "p50": _quantile("0.5", "transaction_duration_seconds"),
            "p99": _quantile("0.99", "transaction_duration_seconds"),
        },
    ),
    bars(
        "Refused writes",
        "Transactions that Kafka refused because partitions had moved, writes dropped for the same reason, and records "
        "that Kafka did not take.",
        {
            "fenced": "sum(increase(fenced_transactions_total{}[]))",
            "dropped": "sum(increase(dropped_writes_total{}[]))",
            "{{error}}": "sum by (error) (increase(produce_errors_total{}[]))",
        },
    ),
    lines(
        "Results written, by topic",
        "Per second.",
        "ops",
        {"{{topic}}": "sum by (topic) (rate(results_produced_total{}[])) > 0"},
    ),
)

_OWNERSHIP = (
    lines(
        "Partitions, by worker",
        "Input partitions that each worker owns; one without any waits as a spare.",
        "short",
        {"{{pod}}": "sum by (pod) (assigned_partitions{})"},
    ),
    lines(
        "Backlog, by partition",
        "A partition that alone stands still is hidden in every sum.",
        "short",
        {"{{topic}}/{{partition}}": "sum by (topic, partition) (consumer_lag_records{})"},
    ),
    bars(
        "Rebalances, by worker",
        "What happened to partitions.",
        {"{{pod}} {{kind}}": "sum by (pod, kind) (increase(rebalances_total{}[])) > 0"},
    ),
    bars(
        "Restored documents, and positions that were not obeyed",
        "Open documents read from the journal; partitions that did not begin at their committed offset, by reason.",
        {
            "restored": "sum(increase(restored_documents_total{}[]))",
            "{{reason}}": "sum by (reason) (increase(positions_reset_total{}[]))",
        },
    ),
    heatmap(
        "Restore duration",
        "From the assignment of a partition until its journal was read and it could go on.",
        "sum by (le) (increase(restore_seconds_bucket{}[]))",
    ),
    lines(
        "Offsets",
        "The next record of each partition; a line that is level stands still.",
        "short",
        {"{{topic}}/{{partition}}": "max by (topic, partition) (next_offset{})"},
    ),
)

_STARTS = (
    bars(
        "Starts refused, by reason",
        "They certainly created nothing and are tried again.",
        {"{{reason}}": "sum by (reason) (increase(starts_refused_total{}[]))"},
    ),
    lines(
        "Accepted and not started",
        "Ready: certainly without a run. Unclear: the run is being looked up.",
        "short",
        {"ready": "sum(ready_documents{})", "unclear": "sum(unclear_documents{})"},
    ),
    bars(
        "Records that need no run",
        "Tombstones, and records whose document is already open.",
        {"{{reason}}": "sum by (reason) (increase(records_skipped_total{}[]))"},
    ),
    bars(
        "Ends that the connector said itself",
        "Results whose failure_reason begins with CONNECTOR_.",
        {"{{reason}}": "sum by (reason) (increase(own_ends_total{}[]))"},
    ),
)

_FOLLOWING = (
    lines(
        "Turns of the loop that follows",
        "Per second, by worker.",
        "ops",
        {"{{pod}}": "sum by (pod) (rate(poller_cycles_total{}[]))"},
    ),
    lines(
        "Since its last turn",
        "By worker; it turns at least when something is due.",
        "s",
        {"{{pod}}": "time() - max by (pod) (poller_last_cycle_timestamp_seconds{})"},
    ),
    lines(
        "API requests, by operation",
        "Per second.",
        "reqps",
        {"{{operation}}": "sum by (operation) (rate(api_requests_total{}[]))"},
    ),
    heatmap(
        "Detection delay",
        "From a run's end to the moment in which it is seen.",
        "sum by (le) (increase(result_detection_delay_seconds_bucket{}[]))",
    ),
)

_SIGNALS = (
    stacked(
        "Signals",
        "Doorbells, facts, commands and replies, by what became of them.",
        "ops",
        {"{{kind}} {{result}}": "sum by (kind, result) (rate(signals_total{}[])) > 0"},
    ),
    lines(
        "Webhooks verified, by secret",
        "By the secret's place in webhook.secret_files; when the new one carries all of them the old one may go.",
        "reqps",
        {"{{secret}}": "sum by (secret) (rate(webhook_secret_uses_total{}[]))"},
    ),
)

_TYPED = (
    bars(
        "Typed results, by fit",
        "Outputs of routes with typed results, by how much of them the value holds; none is sent as JSON.",
        {"{{route}} {{fit}}": "sum by (route, fit) (increase(typed_values_total{}[]))"},
    ),
)

_REGISTRY = (
    bars(
        "Schemas looked up, by result",
        "Answers of the schema registry; refused and changed make dead letters of the records that need the schema.",
        {"{{result}}": "sum by (result) (increase(schema_lookups_total{}[]))"},
    ),
    lines(
        "Waiting for a schema",
        "Input partitions whose next record needs a schema that is not known yet, and workers to whom the registry "
        "does not tell one.",
        "short",
        {
            "partitions": "sum(partitions_awaiting_schema{})",
            "workers without an answer": "sum(registry_unavailable{})",
        },
    ),
)

_PROCESS = (
    lines(
        "Event loop lag p99, by pod",
        "How much later than planned the loop woke up; above 0.1 s it has too much to do.",
        "s",
        {"{{pod}}": _quantile("0.99", "loop_lag_seconds", "le, pod")},
    ),
    lines(
        "Processor",
        "Cores in use, by pod.",
        "short",
        {"{{pod}}": "sum by (pod) (rate(process_cpu_seconds_total{}[]))"},
    ),
    lines("Memory", "Resident, by pod.", "bytes", {"{{pod}}": "sum by (pod) (process_resident_memory_bytes{})"}),
    lines(
        "Open files",
        "By pod, and the limit.",
        "short",
        {
            "{{pod}}": "sum by (pod) (process_open_fds{})",
            "limit": "min(process_max_fds{})",
        },
    ),
    bars(
        "Garbage collections",
        "By generation.",
        {"{{generation}}": "sum by (generation) (increase(python_gc_collections_total{}[]))"},
    ),
    lines(
        "Versions",
        "Processes, by the version of the connector and of librdkafka.",
        "short",
        {"{{version}}, librdkafka {{librdkafka}}": "count by (version, librdkafka) (build_info{})"},
    ),
)

INTERNALS: Rows = {
    "Transactions": _TRANSACTIONS,
    "Partitions": _OWNERSHIP,
    "Starts": _STARTS,
    "Following": _FOLLOWING,
    "Signals and webhooks": _SIGNALS,
    "Schemas": (*_REGISTRY, *_TYPED),
    "Processes": _PROCESS,
}
