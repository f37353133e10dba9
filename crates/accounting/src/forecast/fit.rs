//! Minimum of a function of a few variables, by the simplex method of Nelder and Mead (1965).

/// Number of steps of the simplex.
const STEPS: usize = 200;
/// Distance of the first corners from the start.
const FIRST_STEP: f64 = 0.5;

/// Returns the point near `start` that minimizes `function`, and the minimum.
pub fn minimize(start: &[f64], function: impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let mut corners: Vec<(Vec<f64>, f64)> = (0..=start.len())
        .map(|corner| {
            let mut point = start.to_vec();
            if let Some(value) = corner.checked_sub(1).and_then(|index| point.get_mut(index)) {
                *value += FIRST_STEP;
            }
            let value = function(&point);
            (point, value)
        })
        .collect();
    let worst = corners.len() - 1;
    for _ in 0..STEPS {
        corners.sort_by(|a, b| a.1.total_cmp(&b.1));
        let centre: Vec<f64> = (0..start.len())
            .map(|i| corners[..worst].iter().map(|corner| corner.0[i]).sum::<f64>() / worst as f64)
            .collect();
        // Point on the line from the worst corner through the centre, at the relative distance `far` beyond the centre.
        let beyond = |far: f64| {
            let point: Vec<f64> = centre.iter().zip(&corners[worst].0).map(|(c, w)| c + far * (c - w)).collect();
            let value = function(&point);
            (point, value)
        };
        let reflected = beyond(1.0);
        if reflected.1 < corners[0].1 {
            let expanded = beyond(2.0);
            corners[worst] = if expanded.1 < reflected.1 { expanded } else { reflected };
        } else if worst > 0 && reflected.1 < corners[worst - 1].1 {
            corners[worst] = reflected;
        } else {
            let contracted = beyond(if reflected.1 < corners[worst].1 { 0.5 } else { -0.5 });
            if contracted.1 < corners[worst].1.min(reflected.1) {
                corners[worst] = contracted;
            } else {
                let best = corners[0].0.clone();
                for corner in &mut corners[1..] {
                    for (value, best) in corner.0.iter_mut().zip(&best) {
                        *value = (*value + best) / 2.0;
                    }
                    corner.1 = function(&corner.0);
                }
            }
        }
    }
    corners.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("a simplex has corners")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_of_a_curved_valley() {
        let rosenbrock = |p: &[f64]| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2);
        let (point, value) = minimize(&[0.2, 0.4], rosenbrock);
        assert!((point[0] - 1.0).abs() < 1e-3 && (point[1] - 1.0).abs() < 1e-3 && value < 1e-6, "{point:?} {value}");
        assert!((minimize(&[3.0], |p| (p[0] + 2.0).powi(2)).0[0] + 2.0).abs() < 1e-6);
    }
}
