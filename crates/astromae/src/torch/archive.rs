//! [`Archive`]: finds the pickle and the storages among the entries of a zip directory.

use std::collections::HashMap;

use super::zip::Entry;
use super::{TORCHSCRIPT, TorchError};
use crate::file_kind::{self, FileKind, Purpose};

/// Entries of a zip archive that belong to PyTorch.
#[derive(Debug, Clone)]
pub struct Archive {
    pickle: Entry,
    byte_order: Option<Entry>,
    storages: HashMap<String, Entry>,
}

impl Archive {
    /// Finds the pickle and the storages among `entries`.
    ///
    /// # Errors
    /// If there is no `*/data.pkl`, if there are several, or if the archive is TorchScript.
    pub fn new(entries: Vec<Entry>) -> Result<Self, TorchError> {
        let mut folders = entries.iter().filter_map(|entry| entry.name.strip_suffix("/data.pkl"));
        let folder = folders
            .next()
            .ok_or_else(|| {
                TorchError::malformed("the zip archive has no entry `*/data.pkl`; torch.save did not write it")
            })?
            .to_owned();
        if let Some(other) = folders.next() {
            return Err(TorchError::malformed(format!(
                "the zip archive has two pickles, `{folder}/data.pkl` and `{other}/data.pkl`"
            )));
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
        let pickle = pickle.ok_or_else(|| TorchError::malformed("the zip archive has no entry `*/data.pkl`"))?;
        Ok(Self { pickle, byte_order, storages })
    }

    /// Entry `data.pkl`.
    pub fn pickle(&self) -> &Entry {
        &self.pickle
    }

    /// Entry `byteorder`. PyTorch before 2.1 does not write it; its files are little-endian.
    pub fn byte_order(&self) -> Option<&Entry> {
        self.byte_order.as_ref()
    }

    /// Entry `data/KEY`, which holds the elements of one storage.
    ///
    /// # Errors
    /// If there is no such entry.
    pub fn storage(&self, key: &str) -> Result<&Entry, TorchError> {
        self.storages.get(key).ok_or_else(|| {
            TorchError::malformed(format!("the pickle uses storage `{key}`, but there is no entry `data/{key}`"))
        })
    }

    /// Checks that the content of the entry `byteorder` is `little`.
    ///
    /// # Errors
    /// [`TorchError::Unsupported`] for `big`, [`TorchError::Malformed`] for any other content.
    pub fn check_byte_order(content: &[u8]) -> Result<(), TorchError> {
        match content.trim_ascii() {
            b"little" => Ok(()),
            b"big" => Err(TorchError::unsupported(
                "the file is big-endian (its entry `byteorder` is `big`); save it again on a little-endian machine",
            )),
            other => Err(TorchError::malformed(format!(
                "the entry `byteorder` is `{}`; `little` is expected",
                other[..other.len().min(16)].escape_ascii()
            ))),
        }
    }

    /// Checks that a file starts like a zip archive. `start` holds its first bytes; [`file_kind::START_BYTES`] are
    /// enough. `purpose` is what the file was meant for.
    ///
    /// # Errors
    /// [`TorchError::Unsupported`] for a file of another kind, which the message names; [`TorchError::Malformed`] for
    /// anything else.
    pub fn check_start(start: &[u8], purpose: Purpose) -> Result<(), TorchError> {
        if start.starts_with(b"PK") {
            return Ok(());
        }
        // The file has the name `.pt` wherever this function is called.
        match file_kind::identify(start, ".pt") {
            Some(FileKind::Empty) => Err(TorchError::malformed("this is an empty file; copy or save it again")),
            Some(kind) if kind != FileKind::Text => {
                Err(TorchError::unsupported(format!("the file is {}; {}", kind.name(), kind.advice(purpose))))
            }
            _ => Err(TorchError::malformed(format!(
                "not a zip archive of torch.save: the file starts with `{}`",
                start[..start.len().min(8)].escape_ascii()
            ))),
        }
    }
}
