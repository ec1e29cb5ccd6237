"""What the steps behind a keyed queue remember, shard by shard."""
