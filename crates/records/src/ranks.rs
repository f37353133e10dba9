//! Sets of ranks in SLURM's notation: `3,17-20`, `0-12:4`, `5-9%2`.

/// Largest number of ranks that a text may list.
const MAX_RANKS: usize = 4 << 20;

/// Longest text that a message repeats, in characters.
const MAX_SHOWN_CHARS: usize = 60;

/// Error for a text that is not a set of ranks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RanksError {
    /// The text has another form.
    #[error("`{0}`: expected numbers and ranges such as 3,17-20")]
    Malformed(String),
    /// The text lists more than `MAX_RANKS` ranks.
    #[error("`{0}`: more than {MAX_RANKS} ranks")]
    TooMany(String),
}

/// Formats ascending ranks in the shortest form: `0-3,7`.
pub fn format(numbers: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let length = rest.iter().enumerate().take_while(|(index, number)| **number == first + index).count();
        if !text.is_empty() {
            text.push(',');
        }
        text += &first.to_string();
        if length > 1 {
            text += &format!("-{}", first + length - 1);
        }
        rest = &rest[length..];
    }
    text
}

/// Parses a set of ranks. Ignores the limit on simultaneous jobs after `%`.
///
/// # Errors
/// The text is not a set of ranks, or lists more than four million ranks.
pub fn parse(text: &str) -> Result<Vec<usize>, RanksError> {
    let shown = || match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let invalid = || RanksError::Malformed(shown());
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| invalid());
    let text_of_set = text.split_once('%').map_or(text, |(set, _)| set).trim_matches(['[', ']']);
    let mut numbers = Vec::new();
    for part in text_of_set.split(',') {
        let (range, step) = part.split_once(':').map_or((part, Ok(1)), |(range, step)| (range, number(step)));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        let step = step?;
        if last < first || step == 0 {
            return Err(invalid());
        }
        if (last - first) / step >= MAX_RANKS - numbers.len() {
            return Err(RanksError::TooMany(shown()));
        }
        numbers.extend((first..=last).step_by(step));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_and_formats_slurm_notation() {
        assert_eq!(parse("5").unwrap(), [5]);
        assert_eq!(parse("0-3,7,9-10%5").unwrap(), [0, 1, 2, 3, 7, 9, 10]);
        assert_eq!(parse("[0-12:4]").unwrap(), [0, 4, 8, 12]);
        assert_eq!(format(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        for wrong in ["", "x", "3-1", "1-", "0-5:0", "1,,2"] {
            assert_eq!(parse(wrong), Err(RanksError::Malformed(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn messages_state_the_limit_and_shorten_the_text() {
        let error = parse("0-99999999999").unwrap_err().to_string();
        assert_eq!(error, "`0-99999999999`: more than 4194304 ranks");
        let error = parse(&"é,".repeat(1 << 20)).unwrap_err().to_string();
        assert!(error.len() < 200 && error.contains("…`: expected numbers"), "{error}");
    }

    proptest! {
        #[test]
        fn format_and_parse_agree(numbers in proptest::collection::btree_set(0usize..10_000, 1..50)) {
            let numbers: Vec<usize> = numbers.into_iter().collect();
            prop_assert_eq!(parse(&format(&numbers)).unwrap(), numbers);
        }

        #[test]
        fn parse_never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
