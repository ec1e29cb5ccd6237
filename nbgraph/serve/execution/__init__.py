"""Where the steps of a served graph run, and on which thread."""
