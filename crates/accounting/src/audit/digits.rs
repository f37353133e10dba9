//! Printed digits of a number: its rounding error, and lost digits.

/// Largest relative rounding error that is accepted. Numbers near 1 with two decimals need it. An error of 1 % is above
/// it.
const MAX_ROUNDING: f64 = 8e-3;
/// Relative error that is accepted for every number, because of floating-point sums.
const MIN_ROUNDING: f64 = 1e-9;
/// Largest relative difference between a number with its restored digit and the expected number.
const RESTORED: f64 = 1e-3;

/// Relative rounding error of a printed number: half a unit of its last digit.
pub(super) fn rounding(value: f64) -> f64 {
    let printed = format!("{:e}", value.abs());
    let mantissa = printed.split('e').next().unwrap_or_default();
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let leading: f64 = mantissa.parse().unwrap_or(1.0);
    (0.5 * 10f64.powi(-(decimals as i32)) / leading).clamp(MIN_ROUNDING, MAX_ROUNDING)
}

/// Restores a lost digit before the decimal point if the result is the expected number: 103404.45 for 13404.45.
///
/// Such a loss makes a number at least two times smaller.
pub(super) fn restored(value: f64, expected: f64) -> Option<f64> {
    if !(value.is_finite() && expected.is_finite() && value > 0.0 && value < expected / 2.0) {
        return None;
    }
    let printed = value.to_string();
    let whole = printed.find('.').unwrap_or(printed.len());
    (0..=whole)
        .flat_map(|place| (0..=9).map(move |digit| (place, digit)))
        .filter_map(|(place, digit)| format!("{}{digit}{}", &printed[..place], &printed[place..]).parse().ok())
        .find(|restored: &f64| (restored / expected - 1.0).abs() <= RESTORED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_digits_have_a_larger_rounding_error() {
        assert_eq!(rounding(6.543978130999983), MIN_ROUNDING);
        assert!((rounding(6.54398) - 0.000005 / 6.54398).abs() < 1e-12);
        assert_eq!(rounding(3.1), MAX_ROUNDING);
        assert_eq!(rounding(0.0), MAX_ROUNDING);
    }

    #[test]
    fn restores_the_lost_digit_of_the_study() {
        assert_eq!(restored(13404.4516, 103404.4516), Some(103404.4516));
        assert_eq!(restored(13404.4516, 103385.602), Some(103404.4516));
        assert_eq!(restored(1_865.5, 17_865.5), Some(17_865.5));
        assert_eq!(restored(13_404.45, 50_000.0), None);
        assert_eq!(restored(103_404.45, 103_404.45), None);
        assert_eq!(restored(f64::NAN, 1.0), None);
    }
}
