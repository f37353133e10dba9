//! Sérsic profiles as sums of concentric Gaussians (Hogg & Lang 2013). The convolution with the seeing is then exact.
//!
//! The σ of the Gaussians are the same multiples of the half-light radius for all indices. Only their light differs. It
//! is interpolated between tabulated indices. Light beyond 8 half-light radii is left out, as in the models of SDSS.

mod gaussian_shares;

use gaussian_shares::PROFILES;

/// Number of Gaussians in a profile.
const GAUSSIANS: usize = 13;
/// Width σ of the narrowest Gaussian, in half-light radii.
const SIGMA_MIN: f64 = 0.02;
/// Ratio of the widths σ of consecutive Gaussians.
const SIGMA_RATIO: f64 = 1.6;
/// Number of bisection steps for a half-light radius. They reduce the error below a millionth.
const HALVINGS: usize = 30;

/// Circular Sérsic profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Profile {
    /// Sérsic index n, 0.5 to 6.
    pub(super) index: f64,
    /// Half-light radius, in any unit.
    pub(super) radius: f64,
}

impl Profile {
    /// Gaussians of the profile: σ in the unit of the radius, and the share of the light. The shares sum to 1.
    pub(super) fn gaussians(&self) -> impl Iterator<Item = (f64, f64)> {
        let last = PROFILES.len() - 2;
        let below = PROFILES.partition_point(|(index, _)| *index <= self.index).saturating_sub(1).min(last);
        let ((low, light_low), (high, light_high)) = (&PROFILES[below], &PROFILES[below + 1]);
        let weight = ((self.index - low) / (high - low)).clamp(0.0, 1.0);
        let mut sigma = self.radius * SIGMA_MIN / SIGMA_RATIO;
        light_low.iter().zip(light_high).map(move |(low, high)| {
            sigma *= SIGMA_RATIO;
            (sigma, low + (high - low) * weight)
        })
    }

    /// Share of the light within a radius.
    fn light_within(&self, radius: f64) -> f64 {
        self.gaussians().map(|(sigma, light)| light * (1.0 - (-0.5 * (radius / sigma).powi(2)).exp())).sum()
    }
}

/// Half-light radius of the sum of two profiles. `share` is the share of the first in the total light.
pub(super) fn half_light_radius(share: f64, first: Profile, second: Profile) -> f64 {
    let within = |radius: f64| share * first.light_within(radius) + (1.0 - share) * second.light_within(radius);
    let (mut low, mut high) = (0.0, 2.0 * first.radius.max(second.radius));
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if within(middle) < 0.5 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Growth curve computed independently: I(r) ∝ exp(−b·r^(1/n)) summed ring by ring.
    fn growth(index: f64, radius: f64) -> f64 {
        let b = 2.0 * index - 1.0 / 3.0 + 0.009_876 / index;
        let light_to = |outer: f64| -> f64 {
            let rings = 40_000;
            let ring = |i: i32| {
                // Radii spaced as fourth powers resolve the steep centre.
                let at = |x: f64| outer * (x / f64::from(rings)).powi(4);
                let (inner, outer) = (at(f64::from(i)), at(f64::from(i + 1)));
                let middle = 0.5 * (inner + outer);
                middle * (outer - inner) * (-b * middle.powf(1.0 / index)).exp()
            };
            (0..rings).map(ring).sum()
        };
        light_to(radius) / light_to(8.0)
    }

    #[test]
    fn growth_curves_agree_with_sersic_profiles() {
        for (index, tolerance) in [(1.0, 0.003), (2.0, 0.01), (4.0, 0.04), (6.0, 0.06), (1.25, 0.02), (3.5, 0.05)] {
            let profile = Profile { index, radius: 1.0 };
            assert!((profile.gaussians().map(|(_, light)| light).sum::<f64>() - 1.0).abs() < 1e-4);
            for radius in [0.1, 0.3, 1.0, 2.0, 5.0] {
                let (found, expected) = (profile.light_within(radius), growth(index, radius));
                assert!((found - expected).abs() < tolerance, "n = {index}, r = {radius}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn half_light_radius_of_a_sum_is_between_those_of_its_parts() {
        let small = Profile { index: 4.0, radius: 1.0 };
        let large = Profile { index: 1.0, radius: 3.0 };
        assert!((half_light_radius(1.0, small, large) - 1.0).abs() < 0.06);
        assert!((half_light_radius(0.0, small, large) - 3.0).abs() < 0.02);
        let both = half_light_radius(0.5, small, large);
        assert!((1.2..2.8).contains(&both), "{both}");
    }
}
