# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "scipy"]
# ///
"""Approximates Sérsic profiles by sums of Gaussians (method of Hogg & Lang 2013): see README.md beside this script.

Output: the table of `crates/sources/src/simulate/profile/gaussian_shares.rs` on standard output, and the maximum error
of each profile's growth curve on standard error. Light beyond OUTER half-light radii is ignored.
"""

import sys

import numpy as np
from scipy.optimize import nnls
from scipy.special import gammainc, gammaincinv

INDICES = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0]
SIGMAS = 0.02 * 1.6 ** np.arange(13)  # half-light radii
OUTER = 8.0


def growth(n, radius):
    """Fraction of the light within OUTER that is within a radius, which is in half-light radii."""
    b = gammaincinv(2 * n, 0.5)
    return gammainc(2 * n, b * radius ** (1 / n)) / gammainc(2 * n, b * OUTER ** (1 / n))


def main():
    edges = np.geomspace(0.01, OUTER, 240)
    print(f"// σ of the Gaussians: {SIGMAS[0]} × 1.6^i half-light radii, i < {len(SIGMAS)}.")
    for n in INDICES:
        rings = np.diff(growth(n, edges), prepend=0.0)
        gaussians = 1 - np.exp(-(edges[:, None] ** 2) / (2 * SIGMAS**2))
        gaussian_rings = np.diff(gaussians, axis=0, prepend=0.0)
        weight = 1 / np.sqrt(rings + 1e-4)
        weights, _ = nnls(gaussian_rings * weight[:, None], rings * weight)
        weights /= weights.sum()
        error = np.abs(gaussians @ weights - growth(n, edges)).max()
        print(f"n = {n}: growth curve within {error:.4f}", file=sys.stderr)
        print(f"    ({n:.1f}, [" + ", ".join(f"{w:.5f}" for w in weights) + "]),")


if __name__ == "__main__":
    main()
