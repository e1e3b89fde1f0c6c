"""From metrics.csv and arrays to intervals over seeds, tables and figures; knows no model."""
