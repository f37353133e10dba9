//! Ranks of tasks in messages.

/// Largest number of ranks that a message lists.
const LISTED_MAX: usize = 20;

/// Lists ranks, the first ones if there are many: `3, 7 and 12 more`.
pub(crate) fn list_ranks(ranks: &[usize]) -> String {
    let shown: Vec<String> = ranks.iter().take(LISTED_MAX).map(usize::to_string).collect();
    let rest = if ranks.len() > LISTED_MAX { format!(" and {} more", ranks.len() - LISTED_MAX) } else { String::new() };
    shown.join(", ") + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_first_ranks() {
        assert_eq!(list_ranks(&[3, 7]), "3, 7");
        let many: Vec<usize> = (0..23).collect();
        assert!(list_ranks(&many).ends_with("18, 19 and 3 more"));
    }
}
