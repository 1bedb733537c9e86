"""How good a classifier is: functions of a model and batches, nothing else."""
