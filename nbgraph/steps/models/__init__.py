"""Models as steps, and requests for them."""
