//! Where the rows of a matrix lie in a slice: images, lines within an image, columns within a line.

/// Row `r` of a matrix, counted as (image, line, column), starts at
/// `offset + image·image_stride + line·line_stride + column·column_stride`.
///
/// One description serves plain matrices, tokens without their class token, patches of an image and the pixels inside
/// a zero border, so that nothing is copied to be multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Start of the first row.
    pub offset: usize,
    /// Number of images and the distance between them.
    pub images: usize,
    /// Distance from one image to the next.
    pub image_stride: usize,
    /// Lines in an image.
    pub lines: usize,
    /// Distance from one line to the next.
    pub line_stride: usize,
    /// Columns in a line.
    pub columns: usize,
    /// Distance from one column to the next.
    pub column_stride: usize,
}

impl Layout {
    /// `rows` rows, each `stride` after the one before.
    pub fn plain(rows: usize, stride: usize) -> Layout {
        Layout { offset: 0, images: 1, image_stride: 0, lines: 1, line_stride: 0, columns: rows, column_stride: stride }
    }

    /// The same rows, starting `offset` elements further on.
    pub fn shifted(self, offset: usize) -> Layout {
        Layout { offset: self.offset + offset, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.images * self.lines * self.columns
    }

    /// One past the last element touched when every row is `width` long; 0 without rows.
    pub fn extent(&self, width: usize) -> usize {
        if self.rows() == 0 || width == 0 {
            return 0;
        }
        self.offset
            + (self.images - 1) * self.image_stride
            + (self.lines - 1) * self.line_stride
            + (self.columns - 1) * self.column_stride
            + width
    }

    /// Where row `row` starts.
    pub(crate) fn start(&self, row: usize) -> usize {
        let (line, column) = (row / self.columns, row % self.columns);
        let (image, line) = (line / self.lines, line % self.lines);
        self.offset + image * self.image_stride + line * self.line_stride + column * self.column_stride
    }

    /// The starts of all rows in order, without the divisions of [`Layout::start`]: for hot loops.
    #[inline(always)]
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            layout: *self,
            line: 0,
            column: 0,
            image_start: self.offset,
            line_start: self.offset,
            start: self.offset,
        }
    }
}

/// Walks over the row starts of a [`Layout`].
#[derive(Clone)]
pub(crate) struct Cursor {
    layout: Layout,
    line: usize,
    column: usize,
    image_start: usize,
    line_start: usize,
    start: usize,
}

impl Cursor {
    /// The start of the row under the cursor, which moves on to the next.
    #[inline(always)]
    pub(crate) fn advance(&mut self) -> usize {
        let start = self.start;
        self.start += self.layout.column_stride;
        self.column += 1;
        if self.column == self.layout.columns {
            self.column = 0;
            self.line += 1;
            self.line_start += self.layout.line_stride;
            if self.line == self.layout.lines {
                self.line = 0;
                self.image_start += self.layout.image_stride;
                self.line_start = self.image_start;
            }
            self.start = self.line_start;
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_run_over_columns_then_lines_then_images() {
        let layout = Layout {
            offset: 3,
            images: 2,
            image_stride: 1000,
            lines: 2,
            line_stride: 100,
            columns: 3,
            column_stride: 10,
        };
        let starts: Vec<usize> = (0..layout.rows()).map(|row| layout.start(row)).collect();
        assert_eq!(starts, [3, 13, 23, 103, 113, 123, 1003, 1013, 1023, 1103, 1113, 1123]);
        let mut cursor = layout.cursor();
        let walked: Vec<usize> = starts.iter().map(|_| cursor.advance()).collect();
        assert_eq!(walked, starts);
        assert_eq!(layout.extent(5), 1123 + 5);
        assert_eq!(Layout::plain(0, 7).extent(5), 0);
    }
}
