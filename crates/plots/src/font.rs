//! Fonts of the figures: two small fonts that are part of the program, so that no fonts need to be installed.
//!
//! Input: text. Output: outlines for PNG, and widths. The fonts are subsets of Liberation Sans 2, which has the same
//! glyph widths as Arial and Helvetica. A viewer that draws the SVG with one of these fonts gets the layout of the PNG.

use ttf_parser::{Face, GlyphId, OutlineBuilder};

use super::figure::{Run, SUBSCRIPT_SHIFT, SUBSCRIPT_SIZE, Style};

/// Font families that an SVG asks for.
pub(super) const FAMILIES: &str = "Arial, Helvetica, 'Liberation Sans', sans-serif";

const UPRIGHT: &[u8] = include_bytes!("../assets/figures-regular.ttf");
const ITALIC: &[u8] = include_bytes!("../assets/figures-italic.ttf");

/// The upright and the italic font, parsed.
pub(super) struct Font {
    upright: Face<'static>,
    italic: Face<'static>,
}

impl Font {
    /// Parses the fonts.
    pub(super) fn new() -> Font {
        let face = |bytes| Face::parse(bytes, 0).expect("the fonts in this program are valid");
        Font { upright: face(UPRIGHT), italic: face(ITALIC) }
    }

    /// Returns the width of a line of text at a font size, in pixels.
    pub(super) fn width(&self, runs: &[Run], size: f64) -> f64 {
        self.glyphs(runs, size).map(|glyph| glyph.advance).sum()
    }

    /// Draws a line of text that begins at (0, 0). `pen` receives the outlines, with y pointing down.
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
                Style::Subscript => (size * SUBSCRIPT_SIZE, size * SUBSCRIPT_SHIFT),
                Style::Upright | Style::Italic => (size, 0.0),
            };
            let scale = size / f64::from(face.units_per_em());
            run.words.chars().map(move |letter| {
                // A character that is missing in the font is drawn as the font's empty box.
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

/// Transforms outlines from font units, with y pointing up, to pixels of the line.
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
    use super::super::figure::{italic, subscript, upright};
    use super::*;

    /// Digits of Arial are 1139/2048 em wide.
    #[test]
    fn widths_equal_those_of_arial() {
        let font = Font::new();
        let digit = 1139.0 / 2048.0;
        assert!((font.width(&[upright("0123")], 16.0) - 4.0 * 16.0 * digit).abs() < 0.05);
        assert!((font.width(&[subscript("7")], 16.0) - SUBSCRIPT_SIZE * 16.0 * digit).abs() < 0.05);
        assert!(font.width(&[italic("z")], 16.0) > 0.0);
    }

    #[test]
    fn fonts_have_greek_letters_and_mathematical_symbols() {
        let font = Font::new();
        for letter in "Δησ±−×≥→←·|".chars() {
            assert!(font.upright.glyph_index(letter).is_some(), "{letter}");
        }
        for letter in "znηΔ".chars() {
            assert!(font.italic.glyph_index(letter).is_some(), "{letter}");
        }
    }
}
