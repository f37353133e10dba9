use proptest::prelude::*;

use super::*;

fn table(rows: &[(f32, Option<f64>, u8)]) -> Table {
    Table {
        data_path: rows.iter().map(|_| "x".to_owned()).collect(),
        row: (0..rows.len() as i64).collect(),
        z_phot: rows.iter().map(|row| row.0).collect(),
        z_spec: rows.iter().map(|row| row.1).collect(),
        flags: rows.iter().map(|row| row.2).collect(),
    }
}

fn seven() -> Vec<(f32, Option<f64>, u8)> {
    let z_phot = [0.10, 0.12, 0.35, 0.07, 0.21, 0.50, 0.155];
    let z_spec = [0.11, 0.10, 0.20, 0.07, 0.20, 0.30, 0.15];
    z_phot.into_iter().zip(z_spec).map(|(z_phot, z_spec)| (z_phot, Some(z_spec), 0)).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1e-3), "{found}, not {expected}");
}

/// Against Python's `statistics` (quantiles by the method `inclusive`, which is numpy's `linear`).
#[test]
fn seven_galaxies_by_another_program() {
    let metrics = metrics(&table(&seven()));
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

/// By hand: dz = −0.1, 0, 0.1, 0.9 at z_spec = 0, so that σ_IQR = (0.3 + 0.025)/1.349 and 3σ_IQR = 0.72.
#[test]
fn four_galaxies_by_hand() {
    let rows = [(-0.1, Some(0.0), 0), (0.0, Some(0.0), 0), (0.1, Some(0.0), 0), (0.9, Some(0.0), 0)];
    let scores = metrics(&table(&rows)).all.unwrap();
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-7, "{found}, not {expected}");
    close(scores.rail.bias, 0.05);
    close(scores.rail.sigma_iqr, 0.325 / 1.349);
    close(scores.rail.sigma_mad, 1.4826 * 0.1);
    close(scores.rail.outlier_fraction, 0.25);
    assert_eq!(scores.authors.r2, None);
}

#[test]
fn what_cannot_be_judged_is_counted() {
    let mut rows = seven();
    rows.extend([
        (0.1, None, 0),
        (f32::NAN, Some(0.1), 4),
        (0.1, Some(f64::NAN), 0),
        (0.1, Some(-1.0), 0),
        (0.1, Some(f64::INFINITY), 0),
        (1.9, Some(0.1), 2),
    ]);
    let metrics = metrics(&table(&rows));
    assert_eq!((metrics.rows, metrics.excluded_unknown, metrics.excluded_non_finite), (13, 1, 4));
    assert_eq!((metrics.all.unwrap().rows, metrics.flagged), (8, 1));
    assert_eq!(metrics.unflagged, super::metrics(&table(&seven())).all);
}

#[test]
fn no_rows_have_no_scores() {
    let none = metrics(&Table::default());
    assert_eq!((none.rows, none.all, none.unflagged), (0, None, None));
    let one = metrics(&table(&[(0.2, Some(0.1), 0)])).all.unwrap();
    assert_eq!((one.rows, one.authors.nmad, one.rail.sigma_iqr), (1, 0.0, 0.0));
}

proptest! {
    /// Neither order nor number of copies matters to the means, and no score is NaN.
    #[test]
    fn order_does_not_matter(mut rows in proptest::collection::vec((0.0_f32..2.0, 0.0_f64..2.0), 1..40)) {
        let scored = |rows: &[(f32, f64)]| {
            metrics(&table(&rows.iter().map(|&(p, s)| (p, Some(s), 0)).collect::<Vec<_>>())).all.unwrap()
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
