"""The page docs/configuration.md: a little prose, and the tables that the models give."""

from __future__ import annotations

from connector.config.environment import SHORT
from connector.config.kafka import REFUSED
from connector.config.keys import dotted
from connector.config.reference import key_tables

_PAGE = """# Configuration

One YAML file (`--config`, default `connector.yaml`), and every key also as an environment variable. Made by
`make schemas` from the models in `connector/config/`; editors take
[connector.schema.json](connector.schema.json):

```yaml
# yaml-language-server: $schema=docs/connector.schema.json
name: invoices
kafka: {{bootstrap_servers: "kafka-1:9092,kafka-2:9092"}}
extend: {{api_key_file: /run/secrets/extend-api-key, plan: scale}}
routes:
  documents: {{run: extract, processor: ex_abc123, version: "2.1"}}
```

`extend-connector check` validates it without a network, lists every problem at once with its key and line,
and shows each value in force with where it comes from. Exit code 2 when something is wrong.

## Values

- **Durations** have a unit: `20ms`, `15s`, `10m`, `1h`, `1d`. Only the six polling options keep the API's
  `_ms`.
- **Sizes** have a unit: `256MB` is 256,000,000 bytes, `256MiB` is 268,435,456. **Shares** are written `80%`.
- The YAML is a small part of 1.2: `yes`, `no`, `on` and `off` are texts, dates are texts, a key may stand
  once, and anchors, aliases and tags are refused. A version such as `"2.1"` needs its quotes.
- A section or a route with nothing below it has its defaults.

## Environment

`CONNECTOR__SECTION__KEY` sets `section.key`, deeper keys likewise
(`CONNECTOR__ROUTES__documents__RUN=extract`). Our own keys are found in any case; the names of routes, and
what stands below `metadata`, `config`, `create`, `fields` and `when`, are taken as they are written (a route of
the file is found in any case, with `_` for `-` and `.`). Texts are taken as they are, other values are read as YAML, so
`CONNECTOR__KAFKA__PROPERTIES={{"security.protocol": "SSL"}}` works; so does
`CONNECTOR__KAFKA__PROPERTIES__SECURITY_PROTOCOL=SSL`. A variable without a value counts as not set.

These work alone too, and suffice to start (name `extend-connector`, one route `documents`, and every
reference names its `run`):

{short}

The environment beats the file, and `CONNECTOR__…` beats the short names. Of two keys that exclude each other
(`api_key_file` and `api_key`, `plan` and `limits`) the one from the place that counts more is taken, with a
warning.

## Secrets

Secrets come from files or from the environment; `extend.api_key`, `kafka.password`, `webhook.secrets` and
`schema_registry.password` and `token` in the file are refused. The last line break of a secret's file is not
part of the secret. Relative paths start at the working directory. No command, log or error shows a secret,
and of `kafka.properties` only values that are known to be harmless.

## Keys

{tables}
## Properties that are refused

`kafka.properties` passes every other client property of librdkafka through. The assignors `range` and
`roundrobin` are refused as well; and with `group.protocol: consumer` what the broker decides then.

{refused}
"""


def page() -> str:
    """The page as it is committed."""
    short = [f"| `{variable}` | `{dotted(path)}` |" for variable, path in SHORT.items()]
    refused = [f"| `{name}` | {why} |" for name, why in REFUSED.items()]
    return _PAGE.format(
        short="\n".join(["| variable | key |", "|---|---|", *short]),
        tables=key_tables(),
        refused="\n".join(["| property | why |", "|---|---|", *refused]),
    )
