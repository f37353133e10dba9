use proptest::prelude::*;

use super::*;

fn zip_entry(name: &str) -> Vec<u8> {
    let mut header = b"PK\x03\x04".to_vec();
    header.resize(26, 0);
    header.extend((name.len() as u16).to_le_bytes());
    header.extend([0, 0]);
    header.extend(name.as_bytes());
    header
}

#[test]
fn recognises_files_by_their_first_bytes() {
    use FileKind::*;
    let mut tar = vec![0; START_BYTES];
    tar[257..262].copy_from_slice(b"ustar");
    for (start, name, expected) in [
        (&b""[..], "m.pt", Some(Empty)),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "m.pt", Some(GitLfsPointer)),
        (b"<!DOCTYPE html>\n<html>", "m.pt", Some(Html)),
        (b"\xef\xbb\xbf\n <html lang=\"en\">", "m.pt", Some(Html)),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "m.pt", Some(StoreError)),
        (b"<?xml version=\"1.0\"?>\n<VOTABLE version=\"1.4\">", "t.xml", Some(VoTable)),
        (b"<?xml version=\"1.0\"?>\n<kml>", "t.xml", Some(Xml)),
        (b"{\"message\": \"Not Found\"}", "m.pt", Some(Json)),
        (b"\x1f\x8b\x08\0", "m.pt.gz", Some(Gzip)),
        (b"BZh91AY&SY", "m.pt", Some(Bzip2)),
        (b"BZhou et al.", "m.txt", Some(Text)),
        (b"\xfd7zXZ\0", "m.pt", Some(Xz)),
        (b"\x28\xb5\x2f\xfd", "m.pt", Some(Zstandard)),
        (b"\x04\x22\x4d\x18", "t.lz4", Some(Lz4)),
        (b"\x1f\x9d\x90", "t.csv.Z", Some(UnixCompress)),
        (b"\xd0\xcf\x11\xe0", "t.xls", Some(Excel)),
        (b"\xff\xfei\0d\0", "t.csv", Some(Utf16)),
        (b"\xfe\xff\0i\0d", "t.csv", Some(Utf16)),
        (b"\x89HDF\r\n\x1a\n", "m.h5", Some(Hdf5)),
        (b"\x08\x08\x12\x07pytorch", "m.bin", Some(Onnx)),
        (b"\x08\x07\x3a\x80\x01", "m.onnx", Some(Onnx)),
        (b"\x08\x07\x3a\x80\x01", "m.pt", None),
        (b"\x93NUMPY\x01\0", "a.npy", Some(Npy)),
        (&zip_entry("cube.npy"), "a.npz", Some(Npz)),
        (&zip_entry("archive/data.pkl"), "m.pt", Some(TorchArchive)),
        (&zip_entry("archive/constants.pkl"), "m.pt", Some(TorchScript)),
        (&zip_entry("notes.txt"), "m.zip", Some(Zip)),
        (b"PK\x03\x04", "m.zip", Some(Zip)),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "m.pt", Some(TorchLegacy)),
        (&tar, "m.pt", Some(TorchTar)),
        (&tar, "m.tar", Some(Tar)),
        (b"\x80\x04\x95", "m.pkl", Some(Pickle)),
        (b"\x40\0\0\0\0\0\0\0{\"a\"", "m.safetensors", Some(Safetensors)),
        (b"SIMPLE  =                    T", "c.fits", Some(Fits)),
        (b"PAR1\x15", "t.parquet", Some(Parquet)),
        (b"GGUF\x03", "m.gguf", Some(Gguf)),
        (b"ra,dec,z\n1,2,0.1\n", "t.csv", Some(Text)),
        (b"\xc3", "t.csv", Some(Text)),
        (b"\xff\xfe\xfd\xfc\xfb\xfa", "m.pt", None),
        (b"a\0b", "m.pt", None),
    ] {
        assert_eq!(identify(start, name), expected, "{name}: {}", start.escape_ascii());
    }
}

#[test]
fn every_advice_is_an_instruction() {
    use FileKind::*;
    let advice = |kind: FileKind| kind.advice(Purpose::Model);
    assert!(advice(GitLfsPointer).contains("git lfs pull"));
    assert!(advice(Gzip).contains("gunzip"));
    assert!(advice(Onnx).contains("state_dict"));
    assert!(advice(Npz).contains("model file"));
    assert!(Npz.advice(Purpose::Partition).contains("ingest"));
    assert!(Onnx.advice(Purpose::Array).contains("savez"));
    assert!(Image.advice(Purpose::Catalogue).contains("CSV"));
    assert!(Utf16.advice(Purpose::Catalogue).contains("iconv"));
    assert!(Image.advice(Purpose::Cutout).contains("FITS"));
}

proptest! {
    #[test]
    fn any_bytes_are_identified_without_panic(start in prop::collection::vec(any::<u8>(), 0..600), name in ".{0,20}") {
        if let Some(kind) = identify(&start, &name) {
            prop_assert!(!kind.name().is_empty());
        }
    }
}
