"""What crosses between webhooks, workers and operators: short messages, and who may send them."""
