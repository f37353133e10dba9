//! Text and numbers for charts. Arbitrary input becomes one line that fits its space and that XML allows.

use super::super::axis::{Scale, Ticks};
use super::super::figure::{Run, upright};
use super::super::font::Font;
use super::super::frame::SMALL;
use super::super::sample::number;
use crate::numbers::grouped;

/// Maximum number of characters of a name in a description.
const DESCRIPTION_NAME_MAX: usize = 80;
/// Maximum number of characters of a unit.
const UNIT_MAX: usize = 12;
/// Minimum number of pixels between the labels of two ticks.
const TICK_GAP: f64 = 6.0;
const ELLIPSIS: char = '…';

/// Joins text to one line and removes characters that XML forbids.
pub(super) fn single_line(words: &str) -> String {
    let plain = |letter: char| if letter.is_whitespace() || letter.is_control() { ' ' } else { letter };
    let words: String = words.chars().filter(|letter| !matches!(letter, '\u{FFFE}' | '\u{FFFF}')).map(plain).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shortens text for a description.
pub(super) fn for_description(words: &str) -> String {
    shortened(&single_line(words), DESCRIPTION_NAME_MAX)
}

/// Shortens a unit.
pub(super) fn unit(words: &str) -> String {
    shortened(&single_line(words), UNIT_MAX)
}

fn shortened(words: &str, most: usize) -> String {
    match words.chars().count() {
        count if count <= most => words.to_owned(),
        _ => words.chars().take(most).chain([ELLIPSIS]).collect(),
    }
}

/// Truncates text to a width in pixels, with an ellipsis.
pub(super) fn truncated(words: &str, font: &Font, size: f64, width: f64) -> String {
    let words = single_line(words);
    if font.width(&[upright(words.as_str())], size) <= width {
        return words;
    }
    let mut kept = String::new();
    for letter in words.chars() {
        let longer: String = kept.chars().chain([letter, ELLIPSIS]).collect();
        if font.width(&[upright(longer)], size) > width {
            break;
        }
        kept.push(letter);
    }
    kept.push(ELLIPSIS);
    kept
}

/// Returns the width of upright text, in pixels.
pub(super) fn width(words: &str, font: &Font, size: f64) -> f64 {
    font.width(&[upright(words)], size)
}

/// Removes labels of horizontal ticks that would overlap the label before; the ticks themselves stay.
pub(super) fn without_overlaps(ticks: Ticks, scale: &Scale, font: &Font) -> Ticks {
    let mut end = f64::NEG_INFINITY;
    let has_room = |(place, words): &(f64, String)| {
        let half = width(words, font, SMALL) / 2.0;
        let (from, to) = (scale.at(*place) - half, scale.at(*place) + half);
        let is_apart = from >= end + TICK_GAP;
        if is_apart {
            end = to;
        }
        is_apart
    };
    Ticks { major: ticks.major.into_iter().filter(has_room).collect(), minor: ticks.minor }
}

/// Returns the axis label `name (unit)`, truncated to a length in pixels.
pub(super) fn label(name: &str, unit: &str, font: &Font, size: f64, length: f64) -> Vec<Run> {
    let words = if unit.is_empty() { name.to_owned() } else { format!("{name} ({unit})") };
    vec![upright(truncated(&words, font, size, length))]
}

/// Formats a number with three significant digits, or as an integer with separated thousands.
pub(super) fn amount(value: f64) -> String {
    let size = value.abs();
    let whole = value.fract() == 0.0 && (1.0..1e3).contains(&size);
    if whole || (999.5..1e9).contains(&size) {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", grouped(size.round() as u64));
    }
    number(value)
}

/// Formats a count with its noun: `1 task`, `2 tasks`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count as u64))
}

/// Lists at most `most` names, and the number of the others.
pub(super) fn listed(names: &[String], most: usize) -> String {
    let first = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => first,
        more => format!("{first} and {} more", grouped(more as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_text_to_its_width() {
        let font = Font::new();
        let long = "a partition of twenty-five megabytes";
        let short = truncated(long, &font, 14.0, 80.0);
        assert!(
            short.ends_with('…') && width(&short, &font, 14.0) <= 80.0 && long.starts_with(short.trim_end_matches('…'))
        );
        assert_eq!(truncated(long, &font, 14.0, 800.0), long);
        assert_eq!(single_line("a\u{0}b\n\tc\u{FFFF}"), "a b c");
        assert_eq!(for_description(&"x".repeat(200)).chars().count(), DESCRIPTION_NAME_MAX + 1);
    }

    #[test]
    fn formats_numbers_and_lists() {
        let found = [0.0, 64.0, 12.345, 999.7, 1_054.2, -20_000.0, 1e-9, 2e9].map(amount);
        assert_eq!(found, ["0", "64", "12.3", "1,000", "1,054", "−20,000", "1.00e−9", "2.00e9"]);
        assert_eq!(listed(&["a", "b", "c"].map(str::to_owned), 2), "a, b and 1 more");
    }
}
