# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "scipy"]
# ///
"""Fits the galaxy population of the main sample of `cosmicai simulate`: see README.md beside this script.

Input: a catalogue of u g r i z magnitudes and redshifts (CSV, optionally gzipped). Output: the tables of
`crates/sources/src/simulate/population/fitted.rs`, on standard output. The model is a mixture of galaxy types. Each
type has a Schechter luminosity function, and colours that are linear in a few terms of redshift and luminosity with Gaussian
scatter. The fit is expectation-maximisation.
"""

import gzip
import sys

import numpy as np
from scipy.optimize import minimize

TYPES = ["early", "intermediate", "late"]
K_SLOPE = np.array([1.0, 0.8, 0.5])  # K_r = slope × z, per type (Chilingarian et al. 2010 at typical colours)
R_BRIGHT, R_FAINT = 12.0, 17.85
LIMIT = (17.61, 0.07)  # magnitude at which completeness is 50 %, and width of the cut-off; estimated from the counts
OUTLIERS = 0.004  # fraction of galaxies with wrong photometry, which do not constrain the colours
LOG10 = np.log(10)
# Red sequence beyond the redshifts of the main sample, as u-g, g-r, r-i, i-z: passively evolving track of Eisenstein et
# al. (2001), table 1, rounded.
BEYOND = {0.30: (2.0, 1.56, 0.56, 0.36), 0.36: (2.0, 1.69, 0.62, 0.37), 0.42: (2.0, 1.74, 0.73, 0.38)}
BEYOND_WEIGHT = 4.0


def comoving_mpc(z):
    x = np.linspace(0, 1, 65)[:, None] * z
    y = (0.3 * (1 + x) ** 3 + 0.7) ** -0.5
    return 4282.7 * z * (y[0] / 2 + y[1:-1].sum(0) + y[-1] / 2) / 64


def modulus(z):
    return 5 * np.log10(comoving_mpc(z) * (1 + z) * 1e5)


def terms(z, m):
    """Terms of the linear colour model; m is the absolute magnitude in r."""
    t = z - 0.1
    return np.stack([np.ones_like(z), t, t**2, t**3, m + 21, (m + 21) * t], axis=-1)


def magnitude_errors(magnitudes):
    """Magnitude errors that `simulate` adds: a floor, and sky noise for a galaxy of typical size."""
    floor = np.array([0.02, 0.01, 0.01, 0.01, 0.015])
    sky = np.array([0.046, 0.0175, 0.029, 0.047, 0.185]) * 15.0
    flux = 10 ** (0.4 * (22.5 - magnitudes))
    return np.hypot(floor, 1.0857 * sky / flux)


def schechter(m, shape):
    m_star, alpha, log_density = shape
    x = 10 ** (-0.4 * (m - m_star))
    return np.exp(log_density) * x ** (alpha + 1) * np.exp(-x)


def completeness(r):
    """Completeness of the survey as a function of r model magnitude.

    The survey's limit is in Petrosian magnitudes, which scatter around model magnitudes, so the cut-off is smooth.
    """
    return 1 / (1 + np.exp((r - LIMIT[0]) / LIMIT[1]))


GRID_Z = np.linspace(0.0105, 0.3995, 390)
GRID_R = np.linspace(R_BRIGHT, R_FAINT, 120)
GRID_VOLUME = comoving_mpc(GRID_Z) ** 2 * (0.3 * (1 + GRID_Z) ** 3 + 0.7) ** -0.5
GRID_M = (GRID_R[:, None] - modulus(GRID_Z))[None] - K_SLOPE[:, None, None] * GRID_Z


def population_likelihood(parameters, weight, m, z):
    """-log p(type, M, z) of observed galaxies; the last parameter P is the evolution of all densities, 10^(P z)."""
    shapes, evolution = np.append(parameters[:-1], 0.0).reshape(-1, 3), parameters[-1]
    number = sum(schechter(GRID_M[k], shape) for k, shape in enumerate(shapes)) * completeness(GRID_R)[:, None]
    observed = (number * GRID_VOLUME * 10 ** (evolution * GRID_Z)).sum() * (GRID_R[1] - GRID_R[0])
    total = (weight.sum(1) * (evolution * z * LOG10 - np.log(observed))).sum()
    for k, shape in enumerate(shapes):
        total += (weight[:, k] * np.log(schechter(m[:, k], shape) + 1e-300)).sum()
    prior = ((shapes[:, 1] + 0.8) ** 2 / (2 * 0.5**2)).sum() + ((shapes[:, 0] + 21.2) ** 2 / 2).sum()
    return -total + prior


def read(path):
    opened = gzip.open(path, "rt") if str(path).endswith(".gz") else open(path)
    with opened as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1)


def fit(data, steps=40):
    magnitudes, z = data[:, :5], data[:, 5]
    good = (z > 0.01) & (magnitudes[:, 2] < R_FAINT)
    magnitudes, z = magnitudes[good], z[good]
    colours = magnitudes[:, :4] - magnitudes[:, 1:]
    m = (magnitudes[:, 2] - modulus(z))[:, None] - K_SLOPE * z[:, None]
    count = len(TYPES)
    error = magnitude_errors(magnitudes) ** 2
    colour_error = np.zeros((len(z), 4, 4))
    for c in range(4):
        colour_error[:, c, c] = error[:, c] + error[:, c + 1]
        if c:
            colour_error[:, c, c - 1] = colour_error[:, c - 1, c] = -error[:, c]
    # Start from the distance to a line in (u-g, g-r, z).
    redness = (colours[:, 1] - 0.55 - 2.9 * (z - 0.05)) + 0.3 * (colours[:, 0] - 1.6)
    order = np.argsort(np.argsort(-redness)) / len(z)
    weight = np.stack([np.exp(-(((order - centre) / 0.25) ** 2)) for centre in (0.15, 0.5, 0.85)], axis=1)
    weight /= weight.sum(1, keepdims=True)
    parameters = np.append(np.tile([-21.2, -0.8, 0.0], count)[:-1], 0.0)
    anchors = np.array([[zz, *c] for zz, c in BEYOND.items()])
    for step in range(steps):
        maps, scatters, densities = [], [], []
        for k in range(count):
            x = terms(z, m[:, k])
            w = weight[:, k]
            y = colours
            if k == 0:
                x = np.vstack([x, terms(anchors[:, 0], np.full(len(anchors), -22.0))])
                w = np.append(w, np.full(len(anchors), BEYOND_WEIGHT))
                y = np.vstack([y, anchors[:, 1:]])
            ridge = np.diag([0, 0, 0.02, 0.002, 0.1, 1.0]) if k == 0 else np.diag([0, 0, 0.3, 0.3, 0.1, 1.0])
            if k > 0:  # few late-type galaxies constrain the cubic term, so suppress it
                ridge[3, 3] = 1e3
            a = (x * w[:, None]).T @ x + ridge
            coefficients = np.linalg.solve(a, (x * w[:, None]).T @ y)
            residual = colours - terms(z, m[:, k]) @ coefficients
            spread = (residual * weight[:, k, None]).T @ residual / weight[:, k].sum()
            mean_error = (colour_error * weight[:, k, None, None]).sum(0) / weight[:, k].sum()
            values, vectors = np.linalg.eigh(spread - mean_error)
            intrinsic = (vectors * np.maximum(values, 0.008**2)) @ vectors.T
            total = intrinsic + colour_error
            inverse = np.linalg.inv(total)
            chi2 = np.einsum("ni,nij,nj->n", residual, inverse, residual)
            maps.append(coefficients)
            scatters.append(intrinsic)
            densities.append(np.exp(-0.5 * chi2) / np.sqrt(np.linalg.det(2 * np.pi * total)))
        if step % 5 == 0 or step == steps - 1:
            parameters = minimize(population_likelihood, parameters, args=(weight, m, z), method="L-BFGS-B").x
        full = np.append(parameters[:-1], 0.0).reshape(-1, 3)
        prior = np.stack([schechter(m[:, k], full[k]) for k in range(count)], axis=1)
        prior /= prior.sum(1, keepdims=True)
        joint = prior * np.stack(densities, axis=1) * (1 - OUTLIERS)
        broken = OUTLIERS / 0.5**4
        weight = joint / (joint.sum(1, keepdims=True) + broken)
        if step % 5 == 0 or step == steps - 1:
            likelihood = np.log(joint.sum(1) + broken).mean()
            print(f"step {step}: log likelihood {likelihood:.4f}, shares {weight.mean(0).round(3)}", file=sys.stderr)
    return maps, scatters, full, parameters[-1]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: fit.py CATALOGUE.csv.gz")
    maps, scatters, shapes, evolution = fit(read(sys.argv[1]))
    density = shapes[:, 2] - np.log(np.exp(shapes[:, 2]).sum())
    print(f"pub(super) const EVOLUTION: f64 = {evolution:.3f};\n")
    print("pub(super) const FITTED: [TypeFit; 3] = [")
    for k, name in enumerate(TYPES):
        print(f"    // {name}")
        print("    TypeFit {")
        m_star, alpha, _ = shapes[k]
        print(f"        m_star: {m_star:.3f},\n        alpha: {alpha:.3f},\n        density: {np.exp(density[k]):.4f},")
        print(f"        k_slope: {K_SLOPE[k]:.2f},")
        rows = ",\n            ".join("[" + ", ".join(f"{v:.4f}" for v in row) + "]" for row in maps[k].T)
        print(f"        colours: [\n            {rows},\n        ],")
        factor = np.linalg.cholesky(scatters[k])
        rows = ",\n            ".join("[" + ", ".join(f"{v:.5f}" for v in row) + "]" for row in factor)
        print(f"        scatter: [\n            {rows},\n        ],\n    }},")
    print("];")


if __name__ == "__main__":
    main()
