"""`python -m automix_cli`, so that `accelerate launch -m automix_cli train ...` works."""

from automix_cli.cli import main

if __name__ == "__main__":
    main()
