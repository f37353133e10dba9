//! Sentences below the data, broken into lines no wider than the picture.

use super::super::colours::GREY;
use super::super::figure::{Anchor, Mark, Text, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, WIDTH};
use super::legend::EDGE;
use super::words::{fitted, width};

const LEADING: f64 = 20.0;
/// Pixels below the last line.
const BELOW: f64 = 14.0;

/// From `top` on; the lines, and the picture's height.
pub(super) fn below(notes: &[String], font: &Font, left: f64, top: f64) -> (Vec<Mark>, u32) {
    let room = f64::from(WIDTH) - EDGE - left;
    let mut y = top;
    let mut marks = Vec::new();
    for line in notes.iter().flat_map(|note| broken(note, font, room)) {
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

/// Lines that fit; a word that does not is shortened.
fn broken(note: &str, font: &Font, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in note.split_whitespace() {
        let word = fitted(word, font, SMALL, room);
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), font, SMALL) <= room => *line += &format!(" {word}"),
            _ => lines.push(word),
        }
    }
    lines
}
