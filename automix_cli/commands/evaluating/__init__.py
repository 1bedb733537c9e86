"""What `eval` is made of."""
