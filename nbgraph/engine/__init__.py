"""A Graph becomes a Plan, a Plan runs."""
