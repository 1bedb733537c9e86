"""What people and other programs see: records in the run folder, progress and tables."""
