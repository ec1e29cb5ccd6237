"""Functions as services of a Docker Swarm."""
