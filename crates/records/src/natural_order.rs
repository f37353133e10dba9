//! Natural order of names: `2.pt` before `10.pt`.

use std::cmp::Ordering;

/// Compares two texts and treats each sequence of digits as one number. Compares the bytes of texts that are otherwise
/// equal (`1` and `01`), which makes the order total.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(&l), Some(&r)) = (left.first(), right.first()) {
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            let (l, r) = (take_number(&mut left), take_number(&mut right));
            l.len().cmp(&r.len()).then_with(|| l.cmp(r))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            l.cmp(&r)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Removes the digits at the start of `text` and returns them without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().position(|&digit| digit != b'0').unwrap_or(digits.len());
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sorts_numbers_by_value() {
        let mut names = vec!["10MB/10.pt", "10MB/2.pt", "9MB/1.pt", "10MB/1.pt", "10MB/02.pt", "a", "", "10MB"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["", "9MB/1.pt", "10MB", "10MB/1.pt", "10MB/02.pt", "10MB/2.pt", "10MB/10.pt", "a"]);
        let huge = ["1".repeat(40), "2".repeat(40), format!("1{}", "0".repeat(40))];
        assert!(huge.is_sorted_by(|a, b| natural_order(a, b).is_lt()));
    }

    proptest! {
        #[test]
        fn is_a_total_order(a in "[0-2a/]{0,6}", b in "[0-2a/]{0,6}", c in "[0-2a/]{0,6}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b).is_eq(), a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }
    }
}
