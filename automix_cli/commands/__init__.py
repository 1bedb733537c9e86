"""One module per subcommand: it composes what the other packages compute.

What a subcommand is made of, if it is more than one module, lies in a package beside it: `training`
(of `train`, and what other commands share of it), `detecting`, `evaluating`, `attacking` (of
`robustness`), `masks` (of `visualize-masks`), `exporting`, `comparing`, `corrupting`, `run_report`
(of `report`). `requests` holds what the command line asks of each.
"""
