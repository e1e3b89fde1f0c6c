"""One file per baseline, found by its name and registered nowhere."""
