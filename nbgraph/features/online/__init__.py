"""Online: what serving reads; nothing here needs a library of frames, but `advance`."""
