//! Number formatting.

/// Formats a count with separated thousands: `15,902,889`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separates_thousands() {
        assert_eq!([0, 7, 999, 1_000, 15_902_889].map(grouped), ["0", "7", "999", "1,000", "15,902,889"]);
    }
}
