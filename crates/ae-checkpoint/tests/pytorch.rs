//! Files of torch.save as they are met in the field (`tests/reference/make_pytorch_fixtures.py` of the repository).

use std::path::{Path, PathBuf};

use ae_checkpoint::{Checkpoint, ElementType, OpenError};

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

#[test]
fn every_file_of_plain_tensors_is_read() {
    for file in [
        "float8.pt",
        "float8-legacy.pt",
        "legacy.pt",
        "data-parallel.pt",
        "deepspeed.pt",
        "compiled.pt",
        "packed-anew.pt",
        "packed-without-folder.pt",
    ] {
        let checkpoint = Checkpoint::open(path(file)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(checkpoint.tensors().keys().collect::<Vec<_>>(), ["x", "y"], "{file}");
        let values = ["x", "y"].map(|name| checkpoint.get(name).unwrap().to_f32().unwrap());
        assert_eq!(values, [vec![1.5, -2.0], vec![0.25]], "{file}");
        let elements = ["x", "y"].map(|name| checkpoint.get(name).unwrap().element());
        let is_float8 = file.starts_with("float8");
        let expected = if is_float8 { [ElementType::F8_E4M3, ElementType::F8_E5M2] } else { [ElementType::F32; 2] };
        assert_eq!(elements, expected, "{file}");
    }
}

#[test]
fn every_other_file_is_named_as_what_it_is() {
    for (file, named) in [
        ("compressed.pt", "is a PyTorch file that was packed anew with compression; expected weights"),
        ("archive-of-a-checkpoint.pt", "is a zip archive of other files; expected weights"),
        ("pickle-of-tensors.pt", "is a Python pickle that torch.save has not written; expected weights"),
        ("pickle-of-arrays.pt", "is a Python pickle that torch.save has not written"),
        ("pickle-of-numbers.pt", "is a Python pickle that torch.save has not written"),
    ] {
        let error = Checkpoint::open(path(file)).unwrap_err();
        assert!(matches!(error, OpenError::Foreign(_)), "{error}");
        let error = error.to_string();
        assert!(error.contains(named) && error.contains(file) && !error.contains("fetch"), "{error}");
    }
}

#[test]
fn only_a_short_file_is_to_be_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["legacy.pt", "float8.pt", "deepspeed.pt"] {
        let whole = std::fs::read(path(file)).unwrap();
        for length in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let short = folder.path().join(file);
            std::fs::write(&short, &whole[..length]).unwrap();
            let error = Checkpoint::open(&short).unwrap_err().to_string();
            assert!(error.contains("is not a whole PyTorch file, it is truncated ("), "{length}: {error}");
            assert!(error.ends_with("fetch it again"), "{length}: {error}");
        }
    }
}

/// A damaged index is no missing end.
#[test]
fn a_damaged_archive_is_not_called_short() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(path("float8.pt")).unwrap();
    let index = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[index] = b'x';
    let damaged = folder.path().join("damaged.pt");
    std::fs::write(&damaged, bytes).unwrap();
    let error = Checkpoint::open(&damaged).unwrap_err().to_string();
    assert!(error.contains("cannot be read as a PyTorch file") && !error.contains("fetch"), "{error}");
}
