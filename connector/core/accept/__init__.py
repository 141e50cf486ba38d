"""From a record to the request that buys its run, or to a dead letter; and back, when it is sent again."""
