"""What `corruptions` is made of."""
