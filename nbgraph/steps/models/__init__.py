"""Models as steps, and the requests that they answer."""
