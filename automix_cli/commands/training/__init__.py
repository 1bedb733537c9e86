"""What `train` is made of, and what the other commands that train share."""
