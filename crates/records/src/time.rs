//! Timestamps as text (RFC 3339). Only `pipeline::event` reads the clock.

/// Seconds from `start` to `end`, both RFC 3339; `None` if one of them is not a valid timestamp.
pub fn seconds_between(start: &str, end: &str) -> Option<f64> {
    let time = |text| chrono::DateTime::parse_from_rfc3339(text).ok();
    Some((time(end)? - time(start)?).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtracts_timestamps_of_different_zones() {
        let start = "2026-11-25T07:43:12.250Z";
        assert_eq!(seconds_between(start, "2026-11-26T07:43:13Z"), Some(86_400.75));
        assert_eq!(seconds_between(start, "2026-11-25T09:43:12.250+02:00"), Some(0.0));
        assert_eq!(seconds_between("", start), None);
    }
}
