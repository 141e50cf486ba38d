"""The schema registry: whether a worker would get an id for every schema that it writes. Nothing is registered."""

from __future__ import annotations

from collections.abc import Sequence

from connector.adapters.registry import SchemaRegistry
from connector.announce import Rule, distinct, find
from connector.core.diagnosis import Diagnosis, Health
from connector.core.errors import RegistryError
from connector.output_schemas import OutputSchema

SCHEMAS = "registry.schemas"

_REGISTER = "extend-connector schemas register"


async def examine_registry(
    registry: SchemaRegistry | None, outputs: Sequence[OutputSchema], rule: Rule
) -> list[Diagnosis]:
    """Each subject, until the registry does not answer.

    Args:
        registry: the registry, or None where there is none.
        outputs: what a worker writes with.
        rule: ``schema_registry.auto_register``.
    """
    if registry is None:
        return [Diagnosis(SCHEMAS, "-", Health.SKIPPED, "There is no schema registry (schema_registry.url).")]
    found: list[Diagnosis] = []
    try:
        for subject, text in distinct(outputs):
            found.append(await _subject(registry, subject, text, rule))
    except RegistryError as error:
        way_out = "Check schema_registry: url, the login, ca_file, and what lets this machine out."
        found.append(Diagnosis(SCHEMAS, registry.address, Health.FAILED, str(error), way_out))
    return found


async def _subject(registry: SchemaRegistry, subject: str, text: str, rule: Rule) -> Diagnosis:
    known, latest = await find(subject, text, registry)
    if known is not None:
        return Diagnosis(SCHEMAS, subject, Health.OK, f"Registered with id {known.schema_id}.")
    there = "does not exist" if latest is None else f"has version {latest.version}, which is another schema"
    if rule == "never" or (rule == "missing" and latest is not None):
        found = f"The subject {there}, and schema_registry.auto_register is {rule}: no worker starts."
        return Diagnosis(SCHEMAS, subject, Health.FAILED, found, _REGISTER)
    if latest is not None:
        judged = await registry.compatibility(subject, text)
        if not judged.compatible:
            why = "; ".join(judged.messages) or "it gives no reason"
            found = f"The registry would not take the schema as the next version: {why}."
            return Diagnosis(SCHEMAS, subject, Health.FAILED, found, "extend-connector schemas check")
    return Diagnosis(SCHEMAS, subject, Health.OK, f"The subject {there}: the first worker registers its schema.")
