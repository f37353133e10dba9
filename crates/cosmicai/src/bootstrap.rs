//! The program of the Lambda functions as a file: which processor and which libc it needs, and the zip that Lambda takes.

use std::fmt;
use std::io::{Cursor, Read, Write};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// The name that Lambda starts.
const NAME: &str = "bootstrap";
/// The libc of provided.al2023.
const GLIBC_MAX: (u32, u32) = (2, 34);
/// How a version of a symbol of libc begins.
const GLIBC: &[u8] = b"GLIBC_";
/// What an ELF file of 64 bits, little-endian, begins with.
const ELF_64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
/// Where an ELF file names its processor.
const ELF_MACHINE: std::ops::Range<usize> = 18..20;

/// Processors of Lambda, in its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Architecture {
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
    /// Graviton.
    #[serde(rename = "arm64")]
    Arm64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}

/// What a program needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) architecture: Architecture,
    /// The newest version of libc that it names; None where it names none.
    pub(crate) glibc: Option<String>,
}

/// Looks at a program.
///
/// # Errors
/// Where it is none for Lambda, or needs a newer libc than Lambda has: it would fail there at its start.
pub(crate) fn inspect(program: &[u8]) -> Result<Needs> {
    if !program.starts_with(ELF_64_LITTLE) {
        bail!("not a program for 64-bit Linux");
    }
    let architecture = match program.get(ELF_MACHINE).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]])) {
        Some(62) => Architecture::X86_64,
        Some(183) => Architecture::Arm64,
        other => bail!("a program for another processor ({other:?}); x86_64 or arm64 is expected"),
    };
    let glibc = versions(program).max();
    if let Some(found) = glibc.filter(|found| *found > GLIBC_MAX) {
        bail!(
            "it needs glibc {}.{}, but Lambda (provided.al2023) has {}.{}; build it with cargo-lambda",
            found.0,
            found.1,
            GLIBC_MAX.0,
            GLIBC_MAX.1
        );
    }
    Ok(Needs { architecture, glibc: glibc.map(|(major, minor)| format!("{major}.{minor}")) })
}

/// Every `GLIBC_major.minor` in a program.
fn versions(program: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    program.windows(GLIBC.len()).enumerate().filter(|(_, window)| *window == GLIBC).filter_map(|(at, _)| {
        let rest = &program[at + GLIBC.len()..];
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let mut numbers = std::str::from_utf8(&rest[..end]).ok()?.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

/// The program in a zip, as Lambda takes it; the same bytes for the same program.
pub(crate) fn zip(program: &[u8]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    zip.start_file(NAME, options)?;
    zip.write_all(program)?;
    Ok(zip.finish()?.into_inner())
}

/// The program: `content` itself, or what is in it where it is a zip.
pub(crate) fn unzip(content: Vec<u8>, limit: u64) -> Result<Vec<u8>> {
    if !content.starts_with(b"PK") {
        return Ok(content);
    }
    let mut archive = ZipArchive::new(Cursor::new(content)).context("a broken zip")?;
    let entry = archive.by_name(NAME).context("a zip without `bootstrap`")?;
    let mut program = Vec::new();
    entry.take(limit + 1).read_to_end(&mut program).context("a broken zip")?;
    if program.len() as u64 > limit {
        bail!("more than {limit} bytes unpacked");
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn program(machine: u16, words: &str) -> Vec<u8> {
        let mut program = ELF_64_LITTLE.to_vec();
        program.resize(ELF_MACHINE.start, 0);
        program.extend(machine.to_le_bytes());
        program.extend(words.as_bytes());
        program.push(0);
        program
    }

    #[test]
    fn a_program_tells_what_it_needs() {
        let needs = inspect(&program(62, "GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE")).unwrap();
        assert_eq!((needs.architecture, needs.glibc.as_deref()), (Architecture::X86_64, Some("2.34")));
        assert_eq!(inspect(&program(183, "")).unwrap(), Needs { architecture: Architecture::Arm64, glibc: None });
        let error = |program: &[u8]| inspect(program).unwrap_err().to_string();
        assert!(error(&program(62, "GLIBC_2.4\0GLIBC_2.36")).contains("needs glibc 2.36, but Lambda"));
        assert!(error(&program(8, "")).contains("another processor"));
        assert!(error(b"#!/bin/sh").contains("not a program"));
        assert!(error(ELF_64_LITTLE).contains("another processor"));
    }

    #[test]
    fn a_zip_is_the_same_every_time_and_opens() {
        let program = program(62, &"x".repeat(1_000));
        let packed = zip(&program).unwrap();
        assert_eq!(packed, zip(&program).unwrap());
        assert_eq!(unzip(packed.clone(), 2_000).unwrap(), program);
        assert_eq!(unzip(program.clone(), 2_000).unwrap(), program);
        assert!(unzip(packed.clone(), 100).unwrap_err().to_string().contains("more than 100 bytes"));
        assert!(unzip(packed[..40].to_vec(), 2_000).unwrap_err().to_string().contains("broken"));
        let mut archive = ZipArchive::new(Cursor::new(packed)).unwrap();
        assert_eq!(archive.by_index(0).unwrap().unix_mode().unwrap() & 0o777, 0o755);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(inspect(&bytes));
            bytes.splice(..0, *b"PK\x03\x04");
            drop(unzip(bytes, 1_000));
        }
    }
}
