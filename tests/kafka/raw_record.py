"""Writes what no Python client can: a record with a header whose name is not UTF-8. Java's and C's clients can."""

from __future__ import annotations

import ctypes

from confluent_kafka import cimpl

_SECONDS = 20.0
_COPY = 2
_TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADER, _END = 1, 3, 4, 5, 7, 9, 0
"""What the next arguments of ``rd_kafka_producev`` are (``rd_kafka_vtype_t``)."""
_PRODUCER = 0
_CONF_OK = 0


def write_raw(servers: str, topic: str, key: bytes, value: bytes, header: bytes) -> None:
    """Write one record to partition 0 with the librdkafka that confluent-kafka brings.

    Args:
        servers: ``bootstrap.servers``.
        topic: the topic, which exists.
        key: the key.
        value: the value.
        header: the bytes of a header's name; its value is ``b"v"``.

    Raises:
        OSError: librdkafka refused it, or the broker did not take it in time.
    """
    lib = ctypes.CDLL(cimpl.__file__)  # its symbols are looked for in the libraries that it was linked with, too
    lib.rd_kafka_conf_new.restype = lib.rd_kafka_new.restype = ctypes.c_void_p
    reason = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    if lib.rd_kafka_conf_set(conf, b"bootstrap.servers", servers.encode(), reason, ctypes.c_size_t(512)) != _CONF_OK:
        raise OSError(reason.value.decode())
    producer = ctypes.c_void_p(lib.rd_kafka_new(_PRODUCER, conf, reason, ctypes.c_size_t(512)))
    try:
        refused = lib.rd_kafka_producev(
            *(producer, _TOPIC, topic.encode(), _PARTITION, 0, _FLAGS, _COPY),
            *(_KEY, key, ctypes.c_size_t(len(key)), _VALUE, value, ctypes.c_size_t(len(value))),
            *(_HEADER, header, b"v", ctypes.c_ssize_t(1), _END),
        )
        if refused or lib.rd_kafka_flush(producer, int(_SECONDS * 1000)):
            raise OSError(f"the record was not written ({refused})")
    finally:
        lib.rd_kafka_destroy(producer)
