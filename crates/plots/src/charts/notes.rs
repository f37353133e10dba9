//! Notes below the data, wrapped to the width of the figure.

use super::super::colours::GREY;
use super::super::figure::{Anchor, Mark, Text, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, WIDTH};
use super::legend::EDGE;
use super::words::{truncated, width};

/// Pixels between the baselines of two lines.
const LEADING: f64 = 20.0;
/// Pixels below the last line.
const BELOW: f64 = 14.0;

/// Lays out notes from the pixel `top` on. Returns their marks and the height of the figure.
pub(super) fn layout_notes(notes: &[String], font: &Font, left: f64, top: f64) -> (Vec<Mark>, u32) {
    let room = f64::from(WIDTH) - EDGE - left;
    let mut y = top;
    let mut marks = Vec::new();
    for line in notes.iter().flat_map(|note| wrapped(note, font, room)) {
        y += LEADING;
        let runs = vec![upright(line)];
        marks.push(Mark::Text(Text {
            at: (left, y),
            anchor: Anchor::Start,
            size: SMALL,
            colour: GREY,
            upwards: false,
            halo: false,
            runs,
        }));
    }
    (marks, (y + BELOW).ceil() as u32)
}

/// Wraps a note into lines of the width `room`; truncates words that are longer than a line.
fn wrapped(note: &str, font: &Font, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in note.split_whitespace() {
        let word = truncated(word, font, SMALL, room);
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), font, SMALL) <= room => *line += &format!(" {word}"),
            _ => lines.push(word),
        }
    }
    lines
}
