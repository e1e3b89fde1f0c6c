"""Turns metrics.csv and arrays into intervals over seeds, tables and figures; it knows no model."""
