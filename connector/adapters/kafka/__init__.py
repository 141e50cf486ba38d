"""Kafka, by way of confluent-kafka. Nothing outside of this folder imports it."""
