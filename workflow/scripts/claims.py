"""Makes the ledger of claims from the tidy files alone."""

from pathlib import Path

from adapter import job

with job(snakemake):
    from flatvae.reporting import claims, statistics

    metrics, *efficiency = map(statistics.read_metrics, snakemake.input)
    ledger = claims.ledger(
        metrics, efficiency[0] if efficiency else None, snakemake.params.claims, snakemake.params.datasets
    )
    claims.write(ledger, Path(snakemake.output.csv).with_suffix(""))
    print(claims.to_markdown(ledger))
