"""What `detect` is made of."""
