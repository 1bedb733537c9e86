"""One module per subcommand. They compose what the other packages compute."""
