"""What people read in place of a method's identifier: one table for pages, reports and messages."""

DISPLAY = {
    "": "raw data",
    "vae": "VAE",
    "vhp_vae": "VHP-VAE",
    "flat_vae": "Flat VAE",
    "flat_vae_scale_free": "Flat VAE (scale-free)",
    "flat_vae_no_mixup": "Flat VAE (no mixup)",
    "flat_vae_normal_prior": "Flat VAE (normal prior)",
    "beta_vae": "β-VAE",
    "vamp_vae": "VampPrior VAE",
    "irvae": "IRVAE",
    "geometric_ae": "Geometric AE",
    "fisher_flat_vae": "Fisher-flat VAE",
    "jacobian_norm": "Jacobian norm",
    "pca": "PCA",
    "random_encoder": "Random encoder",
    "constant": "Constant descriptor",
    "supervised": "Supervised descriptor",
    "sort": "SORT",
}


def display_name(method: str) -> str:
    """The display name of a method or control; one that the table does not know keeps its identifier."""
    return DISPLAY.get(method, method)
