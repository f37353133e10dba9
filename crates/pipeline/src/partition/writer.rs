//! Writes partitions: encodes samples as a `TensorDataset` in the format of `torch.save`.
//!
//! Images are written in chunks of any size. Magnitudes and redshifts, a five-hundredth of the bytes, follow at the
//! end. Equal samples give equal bytes, and `torch.load` reads the result.

use std::io::{self, Write};

use astromae::torch::{Dtype, encode_f32, encode_f64, row_major_strides, zip};

use super::fingerprint::fingerprint;
use super::limits::BANDS;

/// Folder of the entries in the archive. `torch.save` to a buffer uses the same name.
const FOLDER: &str = "archive";
/// Version of the file format of PyTorch.
const VERSION: &[u8] = b"3\n";
/// Number of elements encoded at a time.
const CHUNK_ELEMENTS: usize = 16 << 10;

/// Shapes and types of the partition to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Number of samples.
    pub samples: usize,
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// Type of the magnitudes: float32 or float64.
    pub magnitude_dtype: Dtype,
    /// Type of the redshifts: float32 or float64; `None` for a partition without redshifts.
    pub redshift_dtype: Option<Dtype>,
}

impl Layout {
    fn image_elements(&self) -> usize {
        self.samples * BANDS * self.height * self.width
    }
}

/// Writer of one partition to `W`, which does not need to seek.
#[derive(Debug)]
pub struct Writer<W> {
    zip: zip::Writer<W>,
    layout: Layout,
    image_elements_left: usize,
}

impl<W: Write> Writer<W> {
    /// Starts a partition: writes everything before the images.
    ///
    /// # Errors
    /// The underlying writer fails.
    ///
    /// # Panics
    /// Panics if a type is neither float32 nor float64.
    pub fn new(out: W, layout: Layout) -> io::Result<Self> {
        for dtype in [Some(layout.magnitude_dtype), layout.redshift_dtype].into_iter().flatten() {
            assert!(matches!(dtype, Dtype::F32 | Dtype::F64), "a partition holds float32 or float64, not {dtype}");
        }
        let mut zip = zip::Writer::new(out);
        put_entry(&mut zip, "data.pkl", &pickle(&layout))?;
        put_entry(&mut zip, "byteorder", b"little")?;
        zip.start(&format!("{FOLDER}/data/0"), 4 * layout.image_elements() as u64)?;
        Ok(Self { zip, layout, image_elements_left: layout.image_elements() })
    }

    /// Appends pixels, (n, 5, H, W) row-major, in chunks of any size.
    ///
    /// # Errors
    /// The underlying writer fails.
    ///
    /// # Panics
    /// Panics if there are more pixels than the layout states.
    pub fn write_images(&mut self, pixels: &[f32]) -> io::Result<()> {
        self.image_elements_left =
            self.image_elements_left.checked_sub(pixels.len()).expect("no more pixels than the layout states");
        let mut bytes = Vec::with_capacity(4 * pixels.len().min(CHUNK_ELEMENTS));
        for chunk in pixels.chunks(CHUNK_ELEMENTS) {
            bytes.clear();
            encode_f32(chunk, &mut bytes);
            self.zip.write(&bytes)?;
        }
        Ok(())
    }

    /// Completes the partition with its magnitudes, (n, 5) row-major, and redshifts, (n), rounded to the types of the
    /// layout. Returns the underlying writer.
    ///
    /// # Errors
    /// The underlying writer fails.
    ///
    /// # Panics
    /// Panics if pixels are missing, or if the counts differ from the layout.
    pub fn finish(self, magnitudes: &[f64], redshift: Option<&[f64]>) -> io::Result<W> {
        self.finish_with_fingerprint(magnitudes, redshift).map(|(out, _)| out)
    }

    /// Completes the partition, like [`Writer::finish`], and also returns its
    /// [fingerprint](super::Partition::fingerprint).
    pub(super) fn finish_with_fingerprint(
        mut self,
        magnitudes: &[f64],
        redshift: Option<&[f64]>,
    ) -> io::Result<(W, String)> {
        let Layout { samples, redshift_dtype, .. } = self.layout;
        assert_eq!(magnitudes.len(), samples * BANDS, "five magnitudes per sample");
        assert_eq!(redshift.is_some(), redshift_dtype.is_some(), "redshifts as the layout states");
        self.start_magnitudes()?;
        self.write_magnitudes(magnitudes)?;
        if let Some(redshift) = redshift {
            assert_eq!(redshift.len(), samples, "one redshift per sample");
            self.start_redshift()?;
            self.write_redshift(redshift)?;
        }
        self.close()
    }

    /// Starts the magnitudes, after all images.
    pub(super) fn start_magnitudes(&mut self) -> io::Result<()> {
        assert_eq!(self.image_elements_left, 0, "pixels missing");
        let Layout { samples, magnitude_dtype, .. } = self.layout;
        self.zip.start(&format!("{FOLDER}/data/1"), (samples * BANDS * magnitude_dtype.bytes()) as u64)
    }

    /// Appends magnitudes, in chunks of any size.
    pub(super) fn write_magnitudes(&mut self, magnitudes: &[f64]) -> io::Result<()> {
        self.zip.write(&encode(magnitudes, self.layout.magnitude_dtype))
    }

    /// Starts the redshifts, after all magnitudes. The layout must have redshifts.
    pub(super) fn start_redshift(&mut self) -> io::Result<()> {
        let dtype = self.layout.redshift_dtype.expect("redshifts as the layout states");
        self.zip.start(&format!("{FOLDER}/data/2"), (self.layout.samples * dtype.bytes()) as u64)
    }

    /// Appends redshifts, in chunks of any size.
    pub(super) fn write_redshift(&mut self, redshift: &[f64]) -> io::Result<()> {
        let dtype = self.layout.redshift_dtype.expect("redshifts as the layout states");
        self.zip.write(&encode(redshift, dtype))
    }

    /// Completes the partition after its last value. Returns the underlying writer and the fingerprint.
    pub(super) fn close(mut self) -> io::Result<(W, String)> {
        put_entry(&mut self.zip, "version", VERSION)?;
        let crc32 = |entry: &str| self.zip.crc32(&format!("{FOLDER}/{entry}")).expect("an entry that was written");
        let fingerprint = fingerprint((crc32("data/0"), 0), (crc32("data/1"), 0));
        Ok((self.zip.finish()?, fingerprint))
    }

    /// Underlying writer, for example to take the bytes written so far.
    pub fn get_mut(&mut self) -> &mut W {
        self.zip.get_mut()
    }
}

fn put_entry<W: Write>(zip: &mut zip::Writer<W>, name: &str, data: &[u8]) -> io::Result<()> {
    zip.start(&format!("{FOLDER}/{name}"), data.len() as u64)?;
    zip.write(data)
}

fn encode(values: &[f64], dtype: Dtype) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * dtype.bytes());
    if dtype == Dtype::F32 {
        let rounded: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        encode_f32(&rounded, &mut bytes);
    } else {
        encode_f64(values, &mut bytes);
    }
    bytes
}

/// Encodes the pickle of a `TensorDataset` in protocol 2, with the operations that Python's pickler writes. It omits
/// the memo, which only saves bytes.
fn pickle(layout: &Layout) -> Vec<u8> {
    let &Layout { samples, height, width, magnitude_dtype, redshift_dtype } = layout;
    let mut tensors =
        vec![tensor(0, Dtype::F32, &[samples, BANDS, height, width]), tensor(1, magnitude_dtype, &[samples, BANDS])];
    tensors.extend(redshift_dtype.map(|dtype| tensor(2, dtype, &[samples])));
    [
        b"\x80\x02",
        &global("torch.utils.data.dataset", "TensorDataset")[..],
        b")\x81", // TensorDataset.__new__()
        b"}",
        &string("tensors"),
        &tuple(&tensors),
        b"sb.", // set its state to {"tensors": (…)}
    ]
    .concat()
}

/// Encodes a call of `_rebuild_tensor_v2` for a row-major tensor that fills the storage `key`.
fn tensor(key: usize, dtype: Dtype, shape: &[usize]) -> Vec<u8> {
    let integers = |values: &[usize]| tuple(&values.iter().map(|&value| integer(value)).collect::<Vec<_>>());
    let storage = tuple(&[
        string("storage"),
        global("torch", dtype.storage_class()),
        string(&key.to_string()),
        string("cpu"),
        integer(shape.iter().product()),
    ]);
    let no_hooks = [&global("collections", "OrderedDict")[..], b")R"].concat();
    let arguments = tuple(&[
        [&storage[..], b"Q"].concat(),
        integer(0),
        integers(shape),
        integers(&row_major_strides(shape)),
        b"\x89".to_vec(), // requires no gradient
        no_hooks,
    ]);
    [&global("torch._utils", "_rebuild_tensor_v2")[..], &arguments, b"R"].concat()
}

fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

fn string(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

fn integer(value: usize) -> Vec<u8> {
    match i32::try_from(value) {
        Ok(value) => [b"J", &value.to_le_bytes()[..]].concat(),
        Err(_) => [b"\x8a\x08", &(value as u64).to_le_bytes()[..]].concat(),
    }
}
