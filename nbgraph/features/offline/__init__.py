"""Offline: the rows of feature sets as they were written, and what they say of any past moment."""
