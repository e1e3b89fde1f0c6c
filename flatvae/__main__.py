"""The command ``python -m flatvae``: that of the console script ``flatvae``."""

from flatvae.cli import main

if __name__ == "__main__":
    main()
