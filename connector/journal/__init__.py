"""What is durable. One thread owns Kafka; this folder is that thread and the event loop's door to it.

journal.py       the door: what the pipeline writes down, as awaitable sentences
kafka_thread.py  the thread: poll, snapshot of ownership, rebalances
group_commit.py  its transactions: what waits, the producer, how each one ended
restore.py       another thread: reads the journal of partitions that became ours
takeover.py      ends the open transaction of a dead predecessor
watchdog.py      ends the process when a call into librdkafka does not come back
"""
