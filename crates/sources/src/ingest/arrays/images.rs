//! Images of an array: their shape and order of channels, and their pixels as a partition has them.

use pipeline::partition::BANDS;

use super::super::npy::{Element, Header, Scalar, read_exactly};
use super::super::partition_sink::check_size;
use super::super::{Channels, IngestRequest};
use super::elements::Elements;

/// Bytes of images as float32 that are decoded between two writes.
const CHUNK_BYTES: usize = 8 << 20;
/// Maximum height or width of an image before it is cropped, in pixels. One image is held in memory.
const MAX_SIDE_BEFORE_CROP: usize = 4096;

/// Images of an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Images {
    scalar: Scalar,
    channels: Channels,
    pub(super) count: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Images {
    /// Reads the shape of the images.
    ///
    /// # Errors
    /// Fails if their shape does not fit the other arrays, has no clear order, or cannot be cropped as requested.
    pub(super) fn new(
        header: &Header,
        samples: usize,
        channels: Option<Channels>,
        request: &IngestRequest,
    ) -> Result<Self, String> {
        let shape = header.python_shape();
        let Element::Scalar(scalar) = &header.element else {
            return Err("images are an array of records; expected numbers".to_owned());
        };
        if scalar.is_text() {
            return Err(format!("expected numbers, found text (`{}`)", scalar.descr));
        }
        let &[count, second, third, last] = header.shape.as_slice() else {
            return Err(format!("images of shape {shape}; expected (n, 5, height, width) or (n, height, width, 5)"));
        };
        if count != samples {
            return Err(format!("{count} images for {samples} rows of magnitudes"));
        }
        let channels = match (channels, second == BANDS, last == BANDS) {
            (Some(Channels::First), true, _) | (None, true, false) => Channels::First,
            (Some(Channels::Last), _, true) | (None, false, true) => Channels::Last,
            (None, true, true) => {
                return Err(format!(
                    "images of shape {shape}: the {BANDS} bands could be the second or the last dimension; pass \
                     `--channels first` or `--channels last`"
                ));
            }
            (stated, ..) => {
                let place = match stated {
                    None => "second or the last",
                    Some(Channels::First) => "second",
                    Some(Channels::Last) => "last",
                };
                return Err(format!(
                    "images of shape {shape}: expected {BANDS} bands (u g r i z) as the {place} dimension"
                ));
            }
        };
        if header.is_fortran {
            return Err("images in Fortran order, which cannot be read piece by piece; save \
                        numpy.ascontiguousarray(images)"
                .to_owned());
        }
        let (height, width) = match channels {
            Channels::First => (third, last),
            Channels::Last => (second, third),
        };
        check_size((height, width), request.crop)?;
        if height.max(width) > MAX_SIDE_BEFORE_CROP {
            return Err(format!(
                "images of {height}×{width} pixels; expected sides of at most {MAX_SIDE_BEFORE_CROP}, also with `--crop`"
            ));
        }
        Ok(Self { scalar: scalar.clone(), channels, count, height, width })
    }

    /// Messages for the user about the images.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.scalar.descr != "<f4" && self.scalar.descr != ">f4" {
            notes.push(format!("images are `{}`: stored as float32", self.scalar.descr));
        }
        if self.channels == Channels::Last {
            notes.push("bands are the last dimension of the images: stored as the second".to_owned());
        }
        notes
    }

    /// Number of pixels of an image in all bands.
    fn pixels(&self) -> usize {
        BANDS * self.height * self.width
    }

    /// Number of images to decode between two writes.
    pub(super) fn at_once(&self) -> usize {
        (CHUNK_BYTES / (4 * self.pixels())).max(1)
    }

    /// Reads the next `count` images, (count, 5, height, width) row-major. `bytes` is memory that is used again.
    pub(super) fn read(
        &self,
        elements: &mut Elements<'_>,
        count: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<Vec<f32>, String> {
        let size = self.scalar.bytes();
        bytes.resize(count * self.pixels() * size, 0);
        read_exactly(elements, bytes)?;
        // Without this case, the decoding of one number at a time would take longer than the disk.
        if self.scalar.is_plain_float32() {
            let (values, _) = bytes.as_chunks::<4>();
            return Ok(self.ordered(values.iter().map(|&value| f32::from_le_bytes(value))));
        }
        Ok(self.ordered(bytes.chunks_exact(size).map(|element| self.scalar.number(element) as f32)))
    }

    /// Passes over the next `count` images.
    pub(super) fn skip(&self, elements: &mut Elements<'_>, count: usize) -> Result<(), String> {
        let bytes = count as u64 * self.pixels() as u64 * self.scalar.bytes() as u64;
        elements.skip(bytes).map_err(|error| format!("cannot pass over {count} images: {error}"))
    }

    /// Puts the bands of each image before its rows and columns.
    fn ordered(&self, mut values: impl ExactSizeIterator<Item = f32>) -> Vec<f32> {
        if self.channels == Channels::First {
            return values.collect();
        }
        let plane = self.height * self.width;
        let mut pixels = vec![0.0; values.len()];
        for image in pixels.chunks_exact_mut(BANDS * plane) {
            for at in 0..plane {
                for (band, value) in (0..BANDS).zip(values.by_ref().take(BANDS)) {
                    image[band * plane + at] = value;
                }
            }
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{ArraySource, IngestSource};
    use super::*;

    fn header(shape: &str) -> Header {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let bytes = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
        Header::read(&mut &bytes[..]).unwrap()
    }

    fn images(shape: &str, channels: Option<Channels>, crop: Option<usize>) -> Result<Images, String> {
        let source = IngestSource::Arrays(ArraySource::default());
        Images::new(&header(shape), 2, channels, &IngestRequest { source, crop, flux_scale: None })
    }

    #[test]
    fn five_channels_in_one_place_leave_no_doubt() {
        use Channels::{First, Last};
        for (shape, stated, expected) in [
            ("(2, 5, 4, 3)", None, (First, 4, 3)),
            ("(2, 64, 32, 5)", None, (Last, 64, 32)),
            ("(2, 5, 7, 5)", Some(First), (First, 7, 5)),
            ("(2, 5, 7, 5)", Some(Last), (Last, 5, 7)),
        ] {
            let found = images(shape, stated, None).unwrap();
            assert_eq!((found.channels, found.height, found.width), expected, "{shape}");
        }
        for (shape, stated, message) in [
            ("(2, 5, 7, 5)", None, "could be the second or the last dimension; pass `--channels first`"),
            ("(2, 5, 5, 5)", None, "`--channels last`"),
            ("(2, 4, 7, 6)", None, "expected 5 bands (u g r i z) as the second or the last dimension"),
            ("(2, 5, 7, 6)", Some(Last), "as the last dimension"),
            ("(2, 7, 7, 5)", Some(First), "as the second dimension"),
            ("(3, 7, 7, 5)", None, "3 images for 2 rows"),
            ("(2, 7, 7)", None, "expected (n, 5, height, width)"),
        ] {
            let error = images(shape, stated, None).unwrap_err();
            assert!(error.contains(message), "{shape}: {error}");
        }
    }

    #[test]
    fn images_too_large_to_hold_are_refused_also_with_a_crop() {
        for shape in ["(2, 5, 4611686018427387904, 1)", "(2, 5, 1, 4097)", "(2, 1000000, 1000000, 5)"] {
            assert!(images(shape, None, Some(1)).unwrap_err().contains("at most 4096"), "{shape}");
        }
    }
}
