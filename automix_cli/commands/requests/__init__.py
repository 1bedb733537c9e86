"""What a person asks of a command besides settings: plain data, free of torch."""
