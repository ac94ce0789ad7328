"""Results into the outbox."""
