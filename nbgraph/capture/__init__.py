"""What a notebook's objects need to live elsewhere: their text, their values, their requirements.

Kept empty, since a container imports `nbgraph.capture.artifacts` and has no use for the rest.
"""
