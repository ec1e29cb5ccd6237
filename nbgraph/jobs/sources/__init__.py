"""What a job reads, cut into slices that a worker reads by itself."""
