"""The whole configuration as one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from connector.config.extend import Extend
from connector.config.kafka import Kafka
from connector.config.registry import Registry
from connector.config.routes import Route
from connector.config.secret import Secret
from connector.config.section import Name, Section
from connector.config.sections import Admin, Follow, Input, Log, Output, Start, Webhook
from connector.core.redaction import names_a_secret
from connector.core.route import Route as CoreRoute
from connector.core.run_types import status_topics
from connector.core.topics import Plan, plan_topics

Routes = Annotated[Mapping[Name, Route], Field(min_length=1)]


class Config(Section):
    """The whole configuration.

    Made by ``load``; in tests also directly, with durations in seconds and sizes in bytes.
    """

    name: Name = "extend-connector"
    """Consumer group, journal and signals topics, and the first part of every tag.

    **Never change it: under a new name every reference that is still in the input topics is bought again.**
    """

    kafka: Kafka = Kafka()
    """Where the brokers are, and how to talk to them."""

    schema_registry: Registry = Registry()
    """A schema registry that speaks Confluent's REST API, where there is one."""

    extend: Extend = Extend()
    """The API, the account's plan, and how much of it is ours."""

    input: Input = Input()
    """Reading the input topics."""

    routes: Routes = Field(default_factory=lambda: {"documents": Route()})
    """What to do with the records of which topic, by the route's name; the first that takes a record wins."""

    start: Start = Start()
    """Starting runs."""

    follow: Follow = Follow()
    """Following runs to their end."""

    output: Output = Output()
    """Where results go."""

    webhook: Webhook = Webhook()
    """The webhook ingress."""

    admin: Admin = Admin()
    """Metrics and probes."""

    log: Log = Log()
    """Log lines on stderr."""

    @model_validator(mode="after")
    def _fill(self) -> Self:
        """Names that default to other names; the last step of making a value that then never changes."""
        routes = {
            name: route if route.topic else route.model_copy(update={"topic": name})
            for name, route in self.routes.items()
        }
        object.__setattr__(self, "routes", routes)
        if not self.output.prefix:
            object.__setattr__(self, "output", self.output.model_copy(update={"prefix": self.name}))
        return self

    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that is known, for whoever has to keep them out of sight."""
        found = [self.extend.api_key, *self.webhook.secrets]
        optional = (self.kafka.password, self.schema_registry.password, self.schema_registry.token)
        found += [secret for secret in optional if secret is not None]
        veiled = [self.kafka.properties, *(route.create.get("secrets", {}) for route in self.routes.values())]
        for values in veiled:
            found += [
                Secret(value)
                for name, value in values.items()
                if isinstance(value, str) and (values is not self.kafka.properties or names_a_secret(name))
            ]
        return tuple(secret for secret in found if secret.reveal())

    def core_routes(self) -> tuple[CoreRoute, ...]:
        """The routes as the core knows them, in their order."""
        return tuple(route.core(name) for name, route in self.routes.items())

    def prefixes(self) -> Mapping[str, str]:
        """What the result topics of each route begin with, by the route's name."""
        return {name: route.output.prefix or self.output.prefix for name, route in self.routes.items()}

    def result_topics(self) -> tuple[str, ...]:
        """Every topic that results can go to; those of `output.prefix` also for routes that are not there any more."""
        prefixes = dict.fromkeys((self.output.prefix, *self.prefixes().values()))
        return tuple(topic for prefix in prefixes for topic in status_topics(prefix))

    def topic_plan(self) -> Plan:
        """Every topic that the connector touches."""
        inputs = [route.topic for route in self.routes.values()]
        return plan_topics(self.name, inputs, self.output.prefix, self.prefixes().values())
