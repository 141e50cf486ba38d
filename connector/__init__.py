"""Document references in from Kafka, Extend runs bought once and followed, Avro results out."""

__version__ = "0.1.0"
