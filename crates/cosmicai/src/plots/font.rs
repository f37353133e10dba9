//! The letters of the pictures, from two small fonts in the program, so that no machine needs to have any.
//!
//! In: runs of words. Out: outlines for PNG, and widths. The fonts are cut from Liberation Sans 2, which has the widths of
//! Arial and Helvetica: an SVG, drawn with whatever its reader has, is laid out as the PNG is.

use ttf_parser::{Face, FaceParsingError, GlyphId, OutlineBuilder};

use super::figure::{BELOW_SHIFT, BELOW_SIZE, Run, Style};

/// What an SVG asks its reader for.
pub(super) const FAMILIES: &str = "Arial, Helvetica, 'Liberation Sans', sans-serif";

const UPRIGHT: &[u8] = include_bytes!("../../assets/figures-regular.ttf");
const ITALIC: &[u8] = include_bytes!("../../assets/figures-italic.ttf");

/// Both fonts, parsed.
pub(super) struct Font {
    upright: Face<'static>,
    italic: Face<'static>,
}

impl Font {
    pub(super) fn new() -> Result<Font, FaceParsingError> {
        Ok(Font { upright: Face::parse(UPRIGHT, 0)?, italic: Face::parse(ITALIC, 0)? })
    }

    /// Width of a line of this size.
    pub(super) fn width(&self, runs: &[Run], size: f64) -> f64 {
        self.glyphs(runs, size).map(|glyph| glyph.advance).sum()
    }

    /// Draws a line that begins at 0, 0: `pen` gets its outlines, y downwards.
    pub(super) fn draw(&self, runs: &[Run], size: f64, pen: &mut impl OutlineBuilder) {
        let mut x = 0.0;
        for glyph in self.glyphs(runs, size) {
            let mut placed = Placed { pen, x, y: glyph.shift, scale: glyph.scale };
            // A space has no outline.
            let _ = glyph.face.outline_glyph(glyph.id, &mut placed);
            x += glyph.advance;
        }
    }

    fn glyphs<'a>(&'a self, runs: &'a [Run], size: f64) -> impl Iterator<Item = Glyph<'a>> {
        runs.iter().flat_map(move |run| {
            let face = if run.style == Style::Italic { &self.italic } else { &self.upright };
            let (size, shift) = match run.style {
                Style::Below => (size * BELOW_SIZE, size * BELOW_SHIFT),
                Style::Upright | Style::Italic => (size, 0.0),
            };
            let scale = size / f64::from(face.units_per_em());
            run.words.chars().map(move |letter| {
                // A letter that the font has not is drawn as the font's empty box.
                let id = face.glyph_index(letter).unwrap_or(GlyphId(0));
                let advance = f64::from(face.glyph_hor_advance(id).unwrap_or(0)) * scale;
                Glyph { face, id, scale, shift, advance }
            })
        })
    }
}

struct Glyph<'a> {
    face: &'a Face<'static>,
    id: GlyphId,
    scale: f64,
    shift: f64,
    advance: f64,
}

/// Turns the font's units, y upwards, into the line's.
struct Placed<'a, P> {
    pen: &'a mut P,
    x: f64,
    y: f64,
    scale: f64,
}

impl<P> Placed<'_, P> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        ((self.x + f64::from(x) * self.scale) as f32, (self.y - f64::from(y) * self.scale) as f32)
    }
}

impl<P: OutlineBuilder> OutlineBuilder for Placed<'_, P> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.pen.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.pen.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.pen.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{below, italic, upright};
    use super::*;

    /// Arial's digits are 1139/2048 wide.
    #[test]
    fn widths_are_those_of_arial() {
        let font = Font::new().unwrap();
        let digit = 1139.0 / 2048.0;
        assert!((font.width(&[upright("0123")], 16.0) - 4.0 * 16.0 * digit).abs() < 0.05);
        assert!((font.width(&[below("7")], 16.0) - BELOW_SIZE * 16.0 * digit).abs() < 0.05);
        assert!(font.width(&[italic("z")], 16.0) > 0.0);
    }

    #[test]
    fn the_letters_of_the_field_are_there() {
        let font = Font::new().unwrap();
        for letter in "Δησ±−×≥→←·|".chars() {
            assert!(font.upright.glyph_index(letter).is_some(), "{letter}");
        }
        for letter in "znηΔ".chars() {
            assert!(font.italic.glyph_index(letter).is_some(), "{letter}");
        }
    }
}
