"""What `robustness` is made of."""
