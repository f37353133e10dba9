//! PNG writer: draws the marks of a figure with two pixels per SVG unit.

use crate::error::PlotError;
use tiny_skia::{
    FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke as SkiaStroke, StrokeDash, Transform,
};

use super::colours::{Colour, WHITE};
use super::figure::{Anchor, Figure, HALO_WIDTH, Mark, Point, Stroke, Text};
use super::font::Font;

/// Pixels per unit.
const SCALE: u32 = 2;

/// Writes a figure as PNG.
pub(super) fn write(figure: &Figure) -> Result<Vec<u8>, PlotError> {
    let font = Font::new();
    let (width, height) = (figure.width * SCALE, figure.height * SCALE);
    let mut canvas = Canvas {
        pixels: Pixmap::new(width, height).expect("a figure has pixels"),
        transform: Transform::from_scale(SCALE as f32, SCALE as f32),
    };
    canvas.pixels.fill(skia_colour(WHITE));
    for mark in &figure.marks {
        canvas.draw(mark, &font);
    }
    encode(&canvas.pixels)
}

/// Encodes pixels as RGB without alpha, because figures are opaque.
fn encode(pixels: &Pixmap) -> Result<Vec<u8>, PlotError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let rgb: Vec<u8> = pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    let mut writer = encoder.write_header().map_err(encoding)?;
    writer.write_image_data(&rgb).map_err(encoding)?;
    writer.finish().map_err(encoding)?;
    Ok(file)
}

/// Pixels, and the transform from units to pixels.
struct Canvas {
    pixels: Pixmap,
    transform: Transform,
}

impl Canvas {
    fn draw(&mut self, mark: &Mark, font: &Font) {
        match mark {
            Mark::Cells { cells, fill } => {
                for cell in cells {
                    let [x, y, width, height] = [cell.x, cell.y, cell.width, cell.height].map(|value| value as f32);
                    if let Some(rect) = Rect::from_xywh(x, y, width, height) {
                        self.pixels.fill_rect(rect, &paint(*fill, false), self.transform, None);
                    }
                }
            }
            Mark::Area { corners, fill } => {
                let mut path = PathBuilder::new();
                trace(&mut path, corners);
                path.close();
                self.fill(path, *fill, self.transform);
            }
            Mark::Lines { lines, stroke } => {
                let mut path = PathBuilder::new();
                for points in lines {
                    trace(&mut path, points);
                }
                if let Some(path) = path.finish() {
                    self.stroke(&path, stroke, self.transform);
                }
            }
            Mark::Dots { centres, radius, fill } => {
                for (x, y) in centres {
                    let mut path = PathBuilder::new();
                    path.push_circle(*x as f32, *y as f32, *radius as f32);
                    self.fill(path, *fill, self.transform);
                }
            }
            Mark::Text(text) => self.write(text, font),
        }
    }

    fn write(&mut self, text: &Text, font: &Font) {
        let mut pen = Pen(PathBuilder::new());
        font.draw(&text.runs, text.size, &mut pen);
        let Some(path) = pen.0.finish() else { return };
        let width = font.width(&text.runs, text.size);
        let before = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let mut transform = self.transform.pre_translate(text.at.0 as f32, text.at.1 as f32);
        if text.upwards {
            transform = transform.pre_rotate(-90.0);
        }
        let transform = transform.pre_translate(-before as f32, 0.0);
        if text.halo {
            self.stroke(&path, &Stroke { colour: WHITE, width: HALO_WIDTH, dash: None }, transform);
        }
        self.pixels.fill_path(&path, &paint(text.colour, true), FillRule::Winding, transform, None);
    }

    fn fill(&mut self, path: PathBuilder, colour: Colour, transform: Transform) {
        if let Some(path) = path.finish() {
            self.pixels.fill_path(&path, &paint(colour, true), FillRule::Winding, transform, None);
        }
    }

    fn stroke(&mut self, path: &Path, stroke: &Stroke, transform: Transform) {
        let dash = stroke.dash.and_then(|(dash, gap)| StrokeDash::new(vec![dash as f32, gap as f32], 0.0));
        let skia = SkiaStroke {
            width: stroke.width as f32,
            line_cap: LineCap::Butt,
            line_join: LineJoin::Round,
            dash,
            ..SkiaStroke::default()
        };
        self.pixels.stroke_path(path, &paint(stroke.colour, true), &skia, transform, None);
    }
}

fn trace(path: &mut PathBuilder, points: &[Point]) {
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 {
            path.move_to(*x as f32, *y as f32);
        } else {
            path.line_to(*x as f32, *y as f32);
        }
    }
}

fn paint(colour: Colour, smooth: bool) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(skia_colour(colour));
    paint.anti_alias = smooth;
    paint
}

fn encoding(error: png::EncodingError) -> PlotError {
    PlotError::Encode(error.to_string())
}

fn skia_colour(Colour([red, green, blue]): Colour) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(red, green, blue, 255)
}

/// Receives the outlines of glyphs.
struct Pen(PathBuilder);

impl ttf_parser::OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}
