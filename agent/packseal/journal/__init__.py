"""The durable, hash-chained log of records on the gateway: append, read by position, acknowledge."""
