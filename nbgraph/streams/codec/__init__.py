"""Values, dead letters and headers as bytes, and back."""
