"""A graph becomes a plan: names bound, handlers inspected, edges resolved."""
