"""Side by side with another gateway on the same broker: the same numbered samples, the same outages, one table."""
