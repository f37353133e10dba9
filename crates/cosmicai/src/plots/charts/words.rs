//! Words of strangers and numbers, made fit for a picture. Out: one line, no longer than its place, of letters that XML
//! may have.

use super::super::axis::{Scale, Ticks};
use super::super::figure::{Run, upright};
use super::super::font::Font;
use super::super::frame::SMALL;
use super::super::sample::number;
use crate::printer::grouped;

/// The most letters of a name in a description.
const SPOKEN_MAX: usize = 80;
/// And of a unit.
const UNIT_MAX: usize = 12;
/// Pixels between the words of two ticks.
const TICK_GAP: f64 = 6.0;
const ELLIPSIS: char = '…';

/// One line without what XML forbids.
pub(super) fn clean(words: &str) -> String {
    let plain = |letter: char| if letter.is_whitespace() || letter.is_control() { ' ' } else { letter };
    let words: String = words.chars().filter(|letter| !matches!(letter, '\u{FFFE}' | '\u{FFFF}')).map(plain).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// For a description.
pub(super) fn spoken(words: &str) -> String {
    shortened(&clean(words), SPOKEN_MAX)
}

/// For beside a number.
pub(super) fn unit(words: &str) -> String {
    shortened(&clean(words), UNIT_MAX)
}

fn shortened(words: &str, most: usize) -> String {
    match words.chars().count() {
        count if count <= most => words.to_owned(),
        _ => words.chars().take(most).chain([ELLIPSIS]).collect(),
    }
}

/// As much of a line as fits a width.
pub(super) fn fitted(words: &str, font: &Font, size: f64, width: f64) -> String {
    let words = clean(words);
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

/// The width of plain words.
pub(super) fn width(words: &str, font: &Font, size: f64) -> f64 {
    font.width(&[upright(words)], size)
}

/// Ticks along the bottom whose words do not touch: where they would, a tick keeps its mark and has no words.
pub(super) fn apart(ticks: Ticks, scale: &Scale, font: &Font) -> Ticks {
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

/// `name (unit)`, as a label that fits a length.
pub(super) fn label(name: &str, unit: &str, font: &Font, size: f64, length: f64) -> Vec<Run> {
    let words = if unit.is_empty() { name.to_owned() } else { format!("{name} ({unit})") };
    vec![upright(fitted(&words, font, size, length))]
}

/// A number as people read it: three digits, or a whole number with its thousands apart.
pub(super) fn amount(value: f64) -> String {
    let size = value.abs();
    let whole = value.fract() == 0.0 && (1.0..1e3).contains(&size);
    if whole || (999.5..1e9).contains(&size) {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", grouped(size.round() as u64));
    }
    number(value)
}

/// `1 task`, `2 tasks`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count as u64))
}

/// The first few names, and how many more.
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
    fn long_words_are_shortened_to_their_place() {
        let font = Font::new().unwrap();
        let long = "a partition of twenty-five megabytes";
        let short = fitted(long, &font, 14.0, 80.0);
        assert!(
            short.ends_with('…') && width(&short, &font, 14.0) <= 80.0 && long.starts_with(short.trim_end_matches('…'))
        );
        assert_eq!(fitted(long, &font, 14.0, 800.0), long);
        assert_eq!(clean("a\u{0}b\n\tc\u{FFFF}"), "a b c");
        assert_eq!(spoken(&"x".repeat(200)).chars().count(), SPOKEN_MAX + 1);
    }

    #[test]
    fn numbers_are_read_aloud() {
        let found = [0.0, 64.0, 12.345, 999.7, 1_054.2, -20_000.0, 1e-9, 2e9].map(amount);
        assert_eq!(found, ["0", "64", "12.3", "1,000", "1,054", "−20,000", "1.00e−9", "2.00e9"]);
        assert_eq!(listed(&["a", "b", "c"].map(str::to_owned), 2), "a, b and 1 more");
    }
}
