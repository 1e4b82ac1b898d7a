"""What is published beside the sync: the newest of every battery, to receivers that know nothing of records."""
