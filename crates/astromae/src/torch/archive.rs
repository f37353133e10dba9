//! A PyTorch archive's directory: zip entries in, the pickle and the storages by their keys out.

use std::collections::HashMap;

use super::zip::Entry;
use super::{TORCHSCRIPT, TorchError};

/// Which entries of a zip are PyTorch's.
#[derive(Debug, Clone)]
pub struct Archive {
    pickle: Entry,
    byte_order: Option<Entry>,
    storages: HashMap<String, Entry>,
}

impl Archive {
    /// Sorts the entries of a zip directory.
    ///
    /// # Errors
    /// When there is no `*/data.pkl`, there are several, or the archive is TorchScript.
    pub fn new(entries: Vec<Entry>) -> Result<Self, TorchError> {
        let mut folders = entries.iter().filter_map(|entry| entry.name.strip_suffix("/data.pkl"));
        let folder = folders
            .next()
            .ok_or_else(|| TorchError::malformed("no entry `*/data.pkl`: a zip, but not one that torch.save wrote"))?
            .to_owned();
        if let Some(other) = folders.next() {
            return Err(TorchError::malformed(format!("two pickles, `{folder}/data.pkl` and `{other}/data.pkl`")));
        }

        let mut pickle = None;
        let mut byte_order = None;
        let mut storages = HashMap::new();
        for entry in entries {
            let Some(name) = entry.name.strip_prefix(&folder).and_then(|name| name.strip_prefix('/')) else {
                continue;
            };
            match name {
                "data.pkl" => pickle = Some(entry),
                "byteorder" => byte_order = Some(entry),
                "constants.pkl" => {
                    return Err(TorchError::unsupported(TORCHSCRIPT));
                }
                _ => {
                    if let Some(key) = name.strip_prefix("data/") {
                        storages.insert(key.to_owned(), entry);
                    }
                }
            }
        }
        let pickle = pickle.ok_or_else(|| TorchError::malformed("no entry `*/data.pkl`"))?;
        Ok(Self { pickle, byte_order, storages })
    }

    /// `data.pkl`.
    pub fn pickle(&self) -> &Entry {
        &self.pickle
    }

    /// `byteorder`; missing before PyTorch 2.1, which wrote little-endian.
    pub fn byte_order(&self) -> Option<&Entry> {
        self.byte_order.as_ref()
    }

    /// `data/KEY`, the elements of one storage.
    ///
    /// # Errors
    /// When there is none of that key.
    pub fn storage(&self, key: &str) -> Result<&Entry, TorchError> {
        self.storages.get(key).ok_or_else(|| {
            TorchError::malformed(format!("the pickle uses storage `{key}`, but there is no entry `data/{key}`"))
        })
    }

    /// Refuses a `byteorder` entry that says anything but little.
    ///
    /// # Errors
    /// Big-endian files are unsupported, other words malformed.
    pub fn check_byte_order(content: &[u8]) -> Result<(), TorchError> {
        match content.trim_ascii() {
            b"little" => Ok(()),
            b"big" => Err(TorchError::unsupported(
                "a big-endian file (its `byteorder` entry says `big`); save it again on a little-endian machine",
            )),
            other => Err(TorchError::malformed(format!(
                "its `byteorder` entry says `{}`, neither `little` nor `big`",
                other[..other.len().min(16)].escape_ascii()
            ))),
        }
    }

    /// Refuses by name the formats that are not a zip, given the file's first bytes (262 are enough).
    ///
    /// # Errors
    /// The tar and pickle formats of PyTorch before 1.6 are unsupported, anything else malformed.
    pub fn check_start(start: &[u8]) -> Result<(), TorchError> {
        if start.starts_with(b"PK") {
            return Ok(());
        }
        if start.is_empty() {
            return Err(TorchError::malformed("an empty file"));
        }
        if start.get(257..262) == Some(b"ustar".as_slice()) {
            return Err(TorchError::unsupported(
                "the tar format of PyTorch before 0.4; load it in PyTorch and save it again with torch.save",
            ));
        }
        // The legacy format starts with a pickle of its magic number, a 10-byte integer.
        const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
        if start.get(..32.min(start.len())).is_some_and(|head| head.windows(10).any(|ten| ten == LEGACY_MAGIC)) {
            return Err(TorchError::unsupported(
                "the format of PyTorch before 1.6 (a pickle without a zip around it); load it in PyTorch and save it again with torch.save",
            ));
        }
        if start.len() >= 2 && start[0] == 0x80 && (2..=5).contains(&start[1]) {
            return Err(TorchError::unsupported(
                "a bare pickle, not the zip archive of torch.save (PyTorch 1.6 and later)",
            ));
        }
        Err(TorchError::malformed(format!(
            "not a zip archive as torch.save writes it (it starts with `{}`)",
            start[..start.len().min(8)].escape_ascii()
        )))
    }
}
