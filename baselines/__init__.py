"""One file per baseline, found by its name; there is no registry."""
