//! Text from files, as a terminal may show it.
//!
//! A cell of a catalogue or the name of a file may contain control characters. A terminal obeys them: it changes its
//! title or its colours, or hides a part of a line. So every message and table shows them as escapes.

use std::borrow::Cow;

/// Most characters of a message. The middle of a longer one is left out.
const MESSAGE_CHARS_MAX: usize = 10_000;

/// Replaces characters that a terminal obeys by escapes such as `\u{1b}`. Ends of lines and tabs are kept.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |character| !matches!(character, '\n' | '\t') && is_obeyed(character))
}

/// As [`visible`], for text that must stay on one line.
pub(crate) fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

/// Leaves out the middle of a long message.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    let chars = text.chars().count();
    if chars <= MESSAGE_CHARS_MAX {
        return Cow::Borrowed(text);
    }
    let half = MESSAGE_CHARS_MAX / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(chars - half).collect();
    Cow::Owned(format!("{start} […{} characters left out…] {end}", chars - 2 * half))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// True for control characters, for ends of lines and paragraphs, and for marks that turn the direction of text.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_what_a_terminal_obeys() {
        assert_eq!(visible("a\u{1b}[31mb\u{7}\tc\nd\r"), "a\\u{1b}[31mb\\u{7}\tc\nd\\r");
        assert_eq!(visible_line("a\nb\u{9b}c\u{202e}d"), "a\\nb\\u{9b}c\\u{202e}d");
        for kept in ["25 MB → 1,278 galaxies of 32×32", "Ωλ 银河 é"] {
            assert!(matches!(visible_line(kept), Cow::Borrowed(text) if text == kept));
        }
    }

    #[test]
    fn shortens_only_long_messages() {
        assert_eq!(shortened("short"), "short");
        let long = format!("{}END", "é".repeat(200_000));
        let shown = shortened(&long);
        assert!(shown.starts_with('é') && shown.ends_with("END"), "{shown}");
        assert!(shown.contains("[…190003 characters left out…]"), "{shown}");
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_is_left(text in any::<String>()) {
            prop_assert!(!visible_line(&text).chars().any(is_obeyed));
            prop_assert!(!visible(&text).chars().any(|character| is_obeyed(character) && !"\n\t".contains(character)));
        }
    }
}
