"""``python -m flatvae`` runs the console script ``flatvae``."""

from flatvae.cli import main

if __name__ == "__main__":
    main()
