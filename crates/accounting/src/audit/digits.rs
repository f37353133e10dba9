//! What the printed digits of a number tell: how far rounding may have moved it, and whether one of them was lost.

/// Rounding that is granted to a number of few digits, which two decimals of a number near 1 need; no more, so that an
/// error of a percent is seen beside it.
const MAX_ROUNDING: f64 = 8e-3;
/// Rounding that is granted to every number, which sums in floating point may cost.
const MIN_ROUNDING: f64 = 1e-9;
/// How far a number with its digit put back may lie from what is expected.
const RESTORED: f64 = 1e-3;

/// How far, relatively, a number may lie from what was printed: half a unit of its last digit.
pub(super) fn rounding(value: f64) -> f64 {
    let printed = format!("{:e}", value.abs());
    let mantissa = printed.split('e').next().unwrap_or_default();
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let leading: f64 = mantissa.parse().unwrap_or(1.0);
    (0.5 * 10f64.powi(-(decimals as i32)) / leading).clamp(MIN_ROUNDING, MAX_ROUNDING)
}

/// The number with a digit put back before its decimal point, if one makes it what is expected: 103404.45 of 13404.45.
/// Such a loss makes a number two times smaller at least.
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
    fn few_digits_are_granted_more() {
        assert_eq!(rounding(6.543978130999983), MIN_ROUNDING);
        assert!((rounding(6.54398) - 0.000005 / 6.54398).abs() < 1e-12);
        assert_eq!(rounding(3.1), MAX_ROUNDING);
        assert_eq!(rounding(0.0), MAX_ROUNDING);
    }

    #[test]
    fn the_study_s_lost_digit_is_found() {
        assert_eq!(restored(13404.4516, 103404.4516), Some(103404.4516));
        assert_eq!(restored(13404.4516, 103385.602), Some(103404.4516));
        assert_eq!(restored(1_865.5, 17_865.5), Some(17_865.5));
        assert_eq!(restored(13_404.45, 50_000.0), None);
        assert_eq!(restored(103_404.45, 103_404.45), None);
        assert_eq!(restored(f64::NAN, 1.0), None);
    }
}
