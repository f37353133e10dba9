//! [`Layout`]: positions in a slice where the rows of a matrix start.

/// Positions where the rows of a matrix start. Rows are numbered by image, line within the image, and column within the
/// line. Row (image, line, column) starts at
/// `offset + image·image_stride + line·line_stride + column·column_stride`.
///
/// A layout describes plain matrices, tokens without the class token, patches of an image, and pixels inside a border
/// of zeros. Operations therefore read them in place, without a copy. All sizes and distances are in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Start of the first row.
    pub offset: usize,
    /// Number of images.
    pub images: usize,
    /// Distance from one image to the next.
    pub image_stride: usize,
    /// Number of lines in an image.
    pub lines: usize,
    /// Distance from one line to the next.
    pub line_stride: usize,
    /// Number of columns in a line.
    pub columns: usize,
    /// Distance from one column to the next.
    pub column_stride: usize,
}

impl Layout {
    /// Layout of a plain matrix: `rows` rows, `stride` elements apart.
    pub fn plain(rows: usize, stride: usize) -> Layout {
        Layout { offset: 0, images: 1, image_stride: 0, lines: 1, line_stride: 0, columns: rows, column_stride: stride }
    }

    /// Moves all rows `offset` elements further on.
    pub fn shifted(self, offset: usize) -> Layout {
        Layout { offset: self.offset + offset, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.images * self.lines * self.columns
    }

    /// One past the index of the last element if every row has `width` elements; 0 if there are no rows.
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

    /// Start of row `row`.
    pub(crate) fn start(&self, row: usize) -> usize {
        let (line, column) = (row / self.columns, row % self.columns);
        let (image, line) = (line / self.lines, line % self.lines);
        self.offset + image * self.image_stride + line * self.line_stride + column * self.column_stride
    }

    /// Cursor over the starts of all rows. It needs no divisions, unlike [`Layout::start`].
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

/// Position in the rows of a [`Layout`].
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
    /// Returns the start of the current row and moves to the next row.
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
    fn rows_are_ordered_by_image_then_line_then_column() {
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
