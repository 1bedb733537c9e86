"""Data sets in memory, and the batches drawn from them."""
