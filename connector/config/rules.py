"""What can be wrong although every value is right by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.config.keys import Path
from connector.config.model import Config
from connector.config.nearest import nearest
from connector.config.quantities import Duration
from connector.config.registry import Registry, is_loopback
from connector.config.routes import EXTRA_FIELDS, Route
from connector.config.section import MAX_TOPIC_CHARS
from connector.config.sections import Output
from connector.core.accept.request import request_of
from connector.core.errors import RecordRejected
from connector.core.route import Route as CoreRoute
from connector.core.run_types import RUN_TYPES, RunType
from connector.core.typed.avro_record import avro_name
from connector.core.typed.shapes import UNTYPED

SETTLE_MARGIN = 5.0
"""Seconds by which the settle time must exceed the deadline: a POST is sent within so long after its intent."""

SETTLE_COMFORT = 60.0
"""Seconds by which it should: the API's lists may show a run late."""

REVOCATION_SECONDS = 20.0
"""How long a worker that loses partitions waits for their open POSTs."""

SHORT_SESSION = 15.0
"""Seconds below which a killed coordinator costs a healthy worker its partitions (measured with 10)."""

_REQUIRED = "is missing; set it in the file, or set"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        path: the key to change.
        message: the sentence.
        because: other keys that it depends on; where one of them is wrong itself, nothing is said.
    """

    path: Path
    message: str
    because: tuple[Path, ...] = ()


def problems_of(config: Config) -> Iterator[Finding]:
    """What keeps the connector from starting."""
    yield from _missing(config)
    yield from _kafka(config)
    yield from _registry(config.schema_registry)
    yield from _times(config)
    yield from _topics(config)
    for name, route in config.routes.items():
        yield from _route(("routes", name), route)
        yield from _mapping(("routes", name), route.core(name))
        yield from _typed(config, name, route)
    yield from _unreachable(config.core_routes())


def warnings_of(config: Config) -> Iterator[Finding]:
    """What a person should know, although the connector starts."""
    yield from _unused_schemas(config)
    start, follow, kafka = config.start, config.follow, config.kafka
    if start.deadline + SETTLE_MARGIN <= start.settle < start.deadline + SETTLE_COMFORT:
        least = Duration().show(start.deadline + SETTLE_COMFORT)
        yield Finding(("start", "settle"), f"is short; with {least} or more a run that the API shows late is found")
    if start.on_unclear == "retry":
        yield Finding(
            ("start", "on_unclear"),
            "is retry: an unclear start whose run is not found within start.settle is started again, which buys a "
            "second run where the first one appears later",
        )
    if start.deadline > REVOCATION_SECONDS:
        yield Finding(
            ("start", "deadline"),
            "is longer than the 20s that a worker waits for open starts when it gives partitions away; more starts "
            "may end as unclear",
        )
    registry = config.schema_registry
    if registry.url.startswith("http:") and not is_loopback(registry.url) and (registry.password or registry.token):
        yield Finding(("schema_registry", "url"), "begins with http://, so that password or token travel in clear text")
    if kafka.properties.get("group.protocol") == "consumer":
        if "session_timeout" in kafka.model_fields_set:
            yield Finding(("kafka", "session_timeout"), "is not used: with group.protocol consumer the broker decides")
    elif kafka.session_timeout < SHORT_SESSION:
        yield Finding(
            ("kafka", "session_timeout"),
            "is short; when a broker is killed, healthy workers may lose their partitions",
        )
    if follow.max_delay_ms < follow.initial_delay_ms:
        yield Finding(("follow", "max_delay_ms"), "is below initial_delay_ms, so the wait never grows")
    if follow.mode == "poll" and "safety_interval" in follow.model_fields_set:
        yield Finding(("follow", "safety_interval"), "is not used: it goes with follow.mode webhook")
    yield from _links(config.output)


def _missing(config: Config) -> Iterator[Finding]:
    if not config.kafka.bootstrap_servers:
        yield Finding(("kafka", "bootstrap_servers"), f"{_REQUIRED} KAFKA_BOOTSTRAP_SERVERS")
    if not config.extend.api_key.reveal():
        yield Finding(
            ("extend", "api_key_file"),
            f"{_REQUIRED} EXTEND_API_KEY",
            (("extend", "api_key"),),
        )


def _kafka(config: Config) -> Iterator[Finding]:
    if "sasl.password" in config.kafka.properties and config.kafka.password is not None:
        yield Finding(
            ("kafka", "properties", "sasl.password"),
            "may not be set beside the password that kafka.password_file or the environment gives; remove one",
            (("kafka", "password_file"), ("kafka", "password")),
        )


def _registry(registry: Registry) -> Iterator[Finding]:
    section = "schema_registry"
    if not registry.url:
        if registry != Registry():
            yield Finding((section, "url"), f"{_REQUIRED} SCHEMA_REGISTRY_URL: the rest of the section needs it")
        return
    if registry.username is not None and registry.password is None:
        yield Finding(
            (section, "password_file"),
            f"{_REQUIRED} CONNECTOR__SCHEMA_REGISTRY__PASSWORD: a username goes with it",
            ((section, "password"), (section, "username")),
        )
    if registry.password is not None and registry.username is None:
        yield Finding((section, "username"), "is missing: a password goes with it", ((section, "password_file"),))
    if registry.token is not None and registry.username is not None:
        yield Finding(
            (section, "username"),
            "and a token exclude each other; remove one",
            ((section, "token_file"), (section, "token")),
        )
    if registry.key_file is not None and registry.certificate_file is None:
        yield Finding((section, "certificate_file"), "is missing: key_file is its key", ((section, "key_file"),))
    if registry.url.startswith("http:"):
        for key in ("ca_file", "certificate_file"):
            if getattr(registry, key) is not None:
                message = "has no use: schema_registry.url begins with http:// and not https://"
                yield Finding((section, key), message, ((section, "url"),))


def _times(config: Config) -> Iterator[Finding]:
    start, follow = config.start, config.follow
    least = start.deadline + SETTLE_MARGIN
    if start.settle < least:
        yield Finding(
            ("start", "settle"),
            f"must be at least start.deadline and 5s ({Duration().show(least)}): before that a start may still "
            "be on its way",
            (("start", "deadline"),),
        )
    if follow.on_timeout != "wait" and follow.max_wait_ms is None:
        yield Finding(
            ("follow", "on_timeout"),
            f"is {follow.on_timeout}, and without follow.max_wait_ms no run ever times out; set follow.max_wait_ms",
            (("follow", "max_wait_ms"),),
        )
    if follow.mode == "webhook" and follow.safety_interval < (follow.sweep_interval or 0.0):
        yield Finding(
            ("follow", "safety_interval"),
            "is below follow.sweep_interval, so that webhooks would make lists be read more often; set it to "
            f"{Duration().show(follow.sweep_interval or 0.0)} or more",
            (("follow", "sweep_interval"), ("follow", "mode")),
        )
    if 0 < config.admin.port == config.webhook.port:
        yield Finding(
            ("webhook", "port"),
            "is the port of the section admin too; give one of them another",
            (("admin", "port"),),
        )


def _topics(config: Config) -> Iterator[Finding]:
    plan = config.topic_plan()
    sources: tuple[Path, ...] = (("name",), ("output", "prefix"), ("routes",))
    longest: dict[Path, str] = {}
    for topic in plan.topics:
        if len(topic.name) > MAX_TOPIC_CHARS:
            owner: Path = ("name",) if topic.name in {plan.journal, plan.signals} else _owner(config, topic.name)
            longest[owner] = max(longest.get(owner, ""), topic.name, key=len)
    for owner, name in longest.items():
        over = len(name) - MAX_TOPIC_CHARS
        suffix = name.rpartition(".")[2]
        yield Finding(owner, f"is {over} characters too long: the topic that ends in .{suffix} may have 249", sources)
    purposes: dict[str, list[str]] = {}
    for topic in plan.topics:
        purposes.setdefault(topic.name, []).append(topic.purpose)
    for name, uses in purposes.items():
        if len(uses) > 1:
            owner = next(
                (("routes", key) for key, route in config.routes.items() if route.topic == name), _owner(config, name)
            )
            yield Finding(
                owner,
                f"needs the topic {name} for {' and '.join(uses)} at the same time; change the route's topic, "
                "output.prefix or name",
                sources,
            )


def _owner(config: Config, topic: str) -> Path:
    """The key that a topic of results or dead letters has its name from."""
    prefix = topic.rpartition(".")[0]
    if prefix != config.output.prefix:
        name = next(name for name, each in config.prefixes().items() if each == prefix)
        return ("routes", name, "output", "prefix")
    return ("output", "prefix") if prefix != config.name else ("name",)


def _typed(config: Config, name: str, route: Route) -> Iterator[Finding]:
    """What typed results need: something to be typed, its schema, and topics with one schema."""
    path: Path = ("routes", name, "output")
    key = (*path, "typed")
    if not route.output.typed:
        return
    if route.run is None:
        yield Finding(key, "needs a run: without it every reference names its own", (("routes", name, "run"),))
    elif route.run in UNTYPED:
        yield Finding(key, f"does not go with {route.run} runs: {UNTYPED[route.run]}", (("routes", name, "run"),))
    elif route.output.schema_file is None:
        yield Finding(
            (*path, "schema_file"),
            f"is missing: name the file that `extend-connector schemas generate --route {name}` shall write",
            (key,),
        )
    yield from _one_namespace(config, name)
    registry = config.schema_registry
    if registry.url and registry.subject_naming != "topic":
        return
    prefixes = config.prefixes()
    others = [each for each, prefix in prefixes.items() if each != name and prefix == prefixes[name]]
    if prefixes[name] == config.output.prefix or others:
        who = f"the route {others[0]}" if others else "results of all other routes"
        yield Finding(
            (*path, "prefix"),
            f"must be the route's own, for example {name}: a topic of typed results has one schema, and {who} would "
            f"go to {prefixes[name]}.* too. With a schema registry, subject_naming topic-record allows it",
            (("output", "prefix"), ("name",), key, ("schema_registry",)),
        )


def _one_namespace(config: Config, name: str) -> Iterator[Finding]:
    """Whether an earlier route's results have the same full name, which is made from the route's."""
    for other, route in config.routes.items():
        if other == name:
            return
        if route.output.typed and avro_name(other) == avro_name(name):
            yield Finding(
                ("routes", name),
                f"cannot have typed results beside the route {other}: in Avro both names become {avro_name(name)}, and "
                "two schemas of one name meet in registries and readers; give one of them another name",
                (("routes", name, "output", "typed"), ("routes", other, "output", "typed")),
            )
            return


def _unused_schemas(config: Config) -> Iterator[Finding]:
    for name, route in config.routes.items():
        if route.output.schema_file is not None and not route.output.typed:
            yield Finding(("routes", name, "output", "schema_file"), "is not used: it goes with typed: true")


def _route(path: Path, route: Route) -> Iterator[Finding]:
    run = (*path, "run")
    if route.run is None:
        for key in ("processor", "version", "config"):
            if getattr(route, key) is not None:
                message = "would never be used: the route has no run, and a reference with its own inherits none of it"
                yield Finding((*path, key), message, (run,))
    else:
        for key, message in _misfits(route, RUN_TYPES[route.run]):
            yield Finding((*path, key), message, (run, (*path, "processor"), (*path, "version")))
    allowed = RUN_TYPES[route.run].extra_fields if route.run else EXTRA_FIELDS
    for name in route.create:
        if name not in allowed:
            yield Finding((*path, "create", name), _unknown_field(name, route.run, allowed), (run,))


def _misfits(route: Route, run_type: RunType) -> Iterator[tuple[str, str]]:
    name = run_type.name
    if route.processor is not None and run_type.processor_field is None:
        yield "processor", f"does not go with {name} runs: they take none; name the settings under config"
    if route.version is not None:
        if run_type.processor_field is None or run_type.processor_is_id:
            yield "version", f"does not go with {name} runs: they take no version"
        elif route.processor is None:
            yield "version", "needs a processor that it is a version of"
    if route.config is not None and not run_type.config:
        yield "config", f"does not go with {name} runs: they take none"
    if route.priority is not None and not run_type.priority:
        yield "priority", f"does not go with {name} runs: they take none"


def _unknown_field(name: str, run: str | None, allowed: frozenset[str]) -> str:
    runs = f"{run} runs" if run else "the run types"
    close = nearest(name, allowed)
    if close:
        return f"is no create field of {runs}; did you mean {close}?"
    if name in EXTRA_FIELDS:
        return f"does not go with {runs}"
    known = ", ".join(sorted(allowed)) or "none"
    return f"is no create field of {runs} that a route can set here; there are: {known}"


def _mapping(path: Path, route: CoreRoute) -> Iterator[Finding]:
    """What would make every record of a mapped route a dead letter."""
    if route.mapping is None:
        return
    fields = (*path, "fields")
    others = tuple((*path, key) for key in ("run", "processor", "version", "config", "priority", "metadata", "create"))
    if route.run is None and not route.mapping.assigns("run"):
        yield Finding((*path, "run"), "is missing: the route maps fields, and run is none of them")
    try:
        reference = route.mapping.sample()
        if reference.run or (route.run and not route.mapping.assigns("run")):
            request_of(reference, route, None)
    except RecordRejected as error:
        target = next((each.target for each in route.mapping.assignments if each.place(error.path)), None)
        if target is not None:
            yield Finding((*fields, target), error.complaint, others)
        elif error.path in {"", "processor", "metadata"}:
            yield Finding(fields, f"never makes a request: {error}", others)


def _links(output: Output) -> Iterator[Finding]:
    """What makes links to outputs useless, or is set for nothing."""
    if output.parse_by_url and not output.parse_hosts:
        yield Finding(
            ("output", "parse_hosts"),
            "names no host: only links to the host of extend.base_url are followed, and parse runs with others wait; "
            "GET /parse_runs/{id}?responseType=url shows where they lead",
        )
    elif output.parse_hosts and not output.parse_by_url:
        yield Finding(("output", "parse_hosts"), "is not used: it goes with output.parse_by_url")


def _unreachable(routes: Sequence[CoreRoute]) -> Iterator[Finding]:
    for place, route in enumerate(routes):
        path = ("routes", route.name)
        for before in (each for each in routes[:place] if each.topic == route.topic):
            because = tuple(("routes", name, key) for name in (before.name, route.name) for key in ("when", "topic"))
            if before.when is None:
                yield Finding(
                    path,
                    f"is never reached: the route {before.name} comes first and takes every record of topic "
                    f"{route.topic}; give that one a when, or put it last",
                    because,
                )
                break
            if route.when is not None and route.when.implies(before.when):
                yield Finding(
                    path,
                    f"is never reached: the route {before.name} comes first and takes every record that this one "
                    "would take",
                    because,
                )
                break
