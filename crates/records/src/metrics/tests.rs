use proptest::prelude::*;

use super::*;

/// Computes the accuracy of rows given as (z_phot, z_spec, flags).
fn accuracy(rows: &[(f32, Option<f64>, u8)]) -> Metrics {
    let z_phot: Vec<f32> = rows.iter().map(|row| row.0).collect();
    let z_spec: Vec<Option<f64>> = rows.iter().map(|row| row.1).collect();
    let flags: Vec<u8> = rows.iter().map(|row| row.2).collect();
    super::metrics(Predictions { z_phot: &z_phot, z_spec: &z_spec, flags: &flags })
}

fn seven() -> Vec<(f32, Option<f64>, u8)> {
    let z_phot = [0.10, 0.12, 0.35, 0.07, 0.21, 0.50, 0.155];
    let z_spec = [0.11, 0.10, 0.20, 0.07, 0.20, 0.30, 0.15];
    z_phot.into_iter().zip(z_spec).map(|(z_phot, z_spec)| (z_phot, Some(z_spec), 0)).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1e-3), "{found}, not {expected}");
}

/// Expected values computed with Python's `statistics` (quantiles with method `inclusive`, which is `linear` in numpy).
#[test]
fn seven_galaxies_match_python_statistics() {
    let metrics = accuracy(&seven());
    let scores = metrics.all.unwrap();
    assert_eq!((metrics.rows, scores.rows, metrics.flagged, metrics.unflagged), (7, 7, 0, None));
    close(scores.authors.mae, 0.056428569257259364);
    close(scores.authors.mse, 0.009017856850794396);
    close(scores.authors.bias, 0.042957158889663435);
    close(scores.authors.nmad, 0.014575762053330743);
    close(scores.authors.r2.unwrap(), -0.7021378493410071);
    close(scores.rail.bias, 0.00833332786957422);
    close(scores.rail.sigma_mad, 0.01460136812180281);
    close(scores.rail.sigma_iqr, 0.051458110961566786);
    assert_eq!(scores.rail.outlier_fraction, 0.0);
    close(scores.eta_0_05, 2.0 / 7.0);
    close(scores.eta_0_15, 1.0 / 7.0);
}

/// Expected values computed by hand: dz = −0.1, 0, 0.1, 0.9 at z_spec = 0, therefore σ_IQR = (0.3 + 0.025)/1.349 and
/// 3σ_IQR = 0.72.
#[test]
fn four_galaxies_match_values_computed_by_hand() {
    let rows = [(-0.1, Some(0.0), 0), (0.0, Some(0.0), 0), (0.1, Some(0.0), 0), (0.9, Some(0.0), 0)];
    let scores = accuracy(&rows).all.unwrap();
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-7, "{found}, not {expected}");
    close(scores.rail.bias, 0.05);
    close(scores.rail.sigma_iqr, 0.325 / 1.349);
    close(scores.rail.sigma_mad, 1.4826 * 0.1);
    close(scores.rail.outlier_fraction, 0.25);
    assert_eq!(scores.authors.r2, None);
}

#[test]
fn galaxies_of_one_redshift_have_no_r2() {
    // The mean of ten times 0.1 is not 0.1.
    for count in [1, 2, 3, 10] {
        let rows = vec![(0.11, Some(0.1), 0); count];
        assert_eq!(accuracy(&rows).all.unwrap().authors.r2, None, "{count}");
    }
}

#[test]
fn rows_without_finite_dz_are_counted_not_evaluated() {
    let mut rows = seven();
    rows.extend([
        (0.1, None, 0),
        (f32::NAN, Some(0.1), 4),
        (0.1, Some(f64::NAN), 0),
        (0.1, Some(-1.0), 0),
        (0.1, Some(f64::INFINITY), 0),
        (1.9, Some(0.1), 2),
    ]);
    let metrics = accuracy(&rows);
    assert_eq!((metrics.rows, metrics.excluded_unknown, metrics.excluded_non_finite), (13, 4, 1));
    assert_eq!((metrics.all.unwrap().rows, metrics.flagged), (8, 1));
    assert_eq!(metrics.unflagged, accuracy(&seven()).all);
}

#[test]
fn empty_table_has_no_scores() {
    let none = accuracy(&[]);
    assert_eq!((none.rows, none.all, none.unflagged), (0, None, None));
    let one = accuracy(&[(0.2, Some(0.1), 0)]).all.unwrap();
    assert_eq!((one.rows, one.authors.nmad, one.rail.sigma_iqr), (1, 0.0, 0.0));
}

proptest! {
    /// The order of the rows does not change the scores, and no score is NaN.
    #[test]
    fn scores_do_not_depend_on_row_order(mut rows in proptest::collection::vec((0.0_f32..2.0, 0.0_f64..2.0), 1..40)) {
        let scored = |rows: &[(f32, f64)]| {
            accuracy(&rows.iter().map(|&(p, s)| (p, Some(s), 0)).collect::<Vec<_>>()).all.unwrap()
        };
        let forward = scored(&rows);
        rows.reverse();
        let backward = scored(&rows);
        prop_assert!((forward.authors.mse - backward.authors.mse).abs() < 1e-12);
        prop_assert_eq!(forward.rail, backward.rail);
        prop_assert!(forward.authors.mae.powi(2) <= forward.authors.mse + 1e-12);
        prop_assert!(forward.eta_0_15 <= forward.eta_0_05);
        prop_assert!(forward.rail.sigma_mad >= forward.authors.nmad);
    }
}
