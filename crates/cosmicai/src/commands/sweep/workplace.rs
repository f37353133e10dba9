//! Where files are made that several sweeps use: in a folder beside their place, by one process at a time, and moved to
//! their place when they are whole.
//!
//! The folder is locked by the system, so that a process that was killed leaves no lock; what it was making, the next one
//! takes away. Never here: a file that lies in its place is never replaced, as a run may be reading it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::printer::Printer;

/// Name of the file that is locked. It stays, as whoever took it away might take it from another.
const LOCK: &str = ".lock";
/// Name of the folder of what is not yet whole.
const MAKING: &str = ".making";
/// How often the lock is tried while another process has it.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// The folder of a process that makes something; taken away with all that was not moved.
pub(super) struct Workplace {
    making: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Workplace {
    /// Waits until no other process makes something for this folder, and clears up after one that was killed.
    pub(super) async fn enter(folder: &Path, printer: &Printer) -> Result<Workplace> {
        let making = folder.join(MAKING);
        std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.with_context(|| format!("open `{}`", path.display()))?;
        let mut is_told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !is_told {
                        printer.tell(&format!("another sweep makes files for `{}`; waiting for it", folder.display()));
                        is_told = true;
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| {
                        format!(
                            "lock `{}`, so that no other sweep makes the same files; where a file system has no locks, \
                             simulate and split by hand, without `simulate = true`",
                            path.display()
                        )
                    });
                }
            }
        }
        clear(&making)?;
        std::fs::create_dir(&making).with_context(|| format!("create folder `{}`", making.display()))?;
        Ok(Workplace { making, _lock: lock })
    }

    /// Where something of this name is made.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.making.join(name)
    }

    /// Moves a file that is whole to its place, unless there is one: of the same seed, it is the same.
    pub(super) fn place(&self, name: &str, into: &Path) -> Result<()> {
        if into.exists() {
            return Ok(());
        }
        let whole = self.path(name);
        std::fs::rename(&whole, into).with_context(|| format!("move `{}` to `{}`", whole.display(), into.display()))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // The lock is still held. What stays, the next one clears, and says why it cannot.
        drop(clear(&self.making));
    }
}

fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clear folder `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}
